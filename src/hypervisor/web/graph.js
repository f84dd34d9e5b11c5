/* A history drawn as SVG: lines over the last five minutes, with gaps where nothing is known. */
import { element, setAttribute, setText, svgElement } from "./dom.js";
import { DASH, clockTime } from "./format.js";
import { HISTORY_MS } from "./history.js";

const WIDTH = 600;
const HEIGHT = 120;
const GAP_MS = 3500; /* longer without a sample: the line is interrupted */

/* The path of one field; `isArea` closes each piece down to the ground. */
function pathOf(ring, name, now, top, isArea) {
  const parts = [];
  let before = -Infinity;
  let isDown = false;
  let x = 0;
  const close = () => {
    if (isDown && isArea) parts.push(`V${HEIGHT}Z`);
    isDown = false;
  };
  ring.each(name, (time, value) => {
    if (now - time > HISTORY_MS) return;
    if (Number.isNaN(value) || time - before > GAP_MS) close();
    before = time;
    if (Number.isNaN(value)) return;
    x = (WIDTH * (1 - (now - time) / HISTORY_MS)).toFixed(1);
    const y = (HEIGHT * (1 - Math.min(value / top, 1))).toFixed(1);
    if (isDown) parts.push(`L${x} ${y}`);
    else parts.push(isArea ? `M${x} ${HEIGHT}V${y}` : `M${x} ${y}`);
    isDown = true;
  });
  close();
  return parts.join("");
}

function largest(ring, names) {
  let most = 0;
  for (const name of names)
    ring.each(name, (_, value) => {
      if (value > most) most = value;
    });
  return most;
}

/* The newest sample at or before an instant: {time, ...fields}, or null. */
function sampleAt(ring, instant) {
  let found = null;
  const names = Object.keys(ring.values);
  ring.each(names[0], (time) => {
    if (time <= instant && instant - time < GAP_MS) found = time;
  });
  if (found === null) return null;
  const sample = { time: found };
  for (const name of names)
    ring.each(name, (time, value) => {
      if (time === found) sample[name] = value;
    });
  return sample;
}

/*
 * graph({title, area, lines: [[field, words]], format, scale, top}): `area` is the field that is filled, `top(most)`
 * the value at the upper edge for the largest one that is drawn, written by `scale`. draw(ring, now) draws; without a ring it is empty.
 */
export function graph({ title, area, lines, format, scale, top }) {
  const fields = [area, ...lines.map(([name]) => name)];
  const svg = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    class: "graph-canvas",
    role: "img",
  });
  for (const part of [0.25, 0.5, 0.75])
    svg.append(svgElement("path", { class: "graph-grid", d: `M0 ${HEIGHT * part}H${WIDTH}` }));
  const paths = [["area", area, true], ["trace", area, false]]
    .concat(lines.map(([name]) => [name, name, false]))
    .map(([name, field, isArea]) => {
      const path = svgElement("path", { class: `graph-${name}` });
      svg.append(path);
      return { field, isArea, path };
    });
  const cursor = svgElement("path", { class: "graph-cursor" });
  svg.append(cursor);

  const readout = element("span", { class: "graph-readout" });
  const upper = element("span", { class: "graph-upper" });
  const legend = element("span", { class: "graph-legend" });
  for (const [name, words] of lines) legend.append(element("span", { class: `key key-${name}`, text: words }));
  const figure = element(
    "figure",
    { class: "graph" },
    element("figcaption", {}, element("span", { class: "graph-title", text: title }), legend, readout),
    element("div", { class: "graph-frame" }, svg, upper),
    element(
      "div",
      { class: "graph-axis", "aria-hidden": "true" },
      element("span", { text: "5 min ago" }),
      element("span", { text: "now" }),
    ),
  );

  let ring = null;
  let now = 0;
  let pointer = null;

  function describe() {
    if (!ring) return setText(readout, DASH);
    const at = pointer === null ? now : now - HISTORY_MS * (1 - pointer);
    const sample = sampleAt(ring, at);
    setAttribute(cursor, "d", pointer === null ? "" : `M${(pointer * WIDTH).toFixed(1)} 0V${HEIGHT}`);
    const words = sample && !Number.isNaN(sample[area]) ? format(sample[area]) : DASH;
    setText(readout, pointer === null ? words : `${clockTime(at)}  ${words}`);
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    pointer = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    describe();
  });
  svg.addEventListener("pointerleave", () => {
    pointer = null;
    describe();
  });

  let saidAt = -Infinity;
  return {
    figure,
    draw(newRing, newNow) {
      ring = newRing ?? null;
      now = newNow;
      const most = ring ? top(largest(ring, fields)) : 1;
      for (const { field, isArea, path } of paths)
        setAttribute(path, "d", ring ? pathOf(ring, field, now, most, isArea) : "");
      setText(upper, ring ? scale(most) : "");
      describe();
      /* A description that changed each second would have a screen reader begin anew each second. */
      if (now - saidAt > 10_000) {
        saidAt = now;
        const words = ring ? `now ${readout.textContent}, scale to ${scale(most)}` : "nothing is known";
        setAttribute(svg, "aria-label", `${title}, last five minutes: ${words}`);
      }
    },
  };
}

/* A small line without words, for a card. */
export function sparkline() {
  const svg = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    class: "sparkline",
    "aria-hidden": "true",
  });
  const area = svgElement("path", { class: "graph-area" });
  const trace = svgElement("path", { class: "graph-trace" });
  svg.append(area, trace);
  return {
    svg,
    draw(ring, name, now, top) {
      setAttribute(area, "d", ring ? pathOf(ring, name, now, top, true) : "");
      setAttribute(trace, "d", ring ? pathOf(ring, name, now, top, false) : "");
    },
  };
}
