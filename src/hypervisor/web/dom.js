/* Making and changing elements: text is only ever set as text, and nothing is touched that is as it should be. */

/* element("p", {class: "note", text: "words"}, child, ...): `text` becomes its text, the rest attributes. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function svgElement(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const shown = new WeakMap();

/* Sets the text of an element that has nothing but text, where it is another than last time. */
export function setText(target, text) {
  if (shown.get(target) === text) return;
  shown.set(target, text);
  target.textContent = text;
}

export function setClass(target, name) {
  if (target.className !== name) target.className = name;
}

export function setAttribute(target, name, value) {
  if (value === null) {
    if (target.hasAttribute(name)) target.removeAttribute(name);
  } else if (target.getAttribute(name) !== value) {
    target.setAttribute(name, value);
  }
}

export function setHidden(target, isHidden) {
  if (target.hidden !== isHidden) target.hidden = isHidden;
}

/*
 * A bar from nothing to the whole, with marks on it: meter("cap", "entitled"). It is for the eye alone: what
 * it shows stands beside it as text. `set({fill, cap, entitled})` takes fractions; null: not shown, and without a
 * fill there is no bar: an empty one would look like nothing used.
 */
export function meter(...marks) {
  const fill = element("span", { class: "meter-fill" });
  const bar = element("span", { class: "meter", "aria-hidden": "true" }, fill);
  const byName = new Map();
  const last = {};
  for (const name of marks) {
    const mark = element("span", { class: `meter-mark meter-${name}`, hidden: true });
    byName.set(name, mark);
    bar.append(mark);
  }
  function place(target, name, fraction) {
    const isShown = fraction !== null && Number.isFinite(fraction);
    const value = isShown ? Math.round(Math.min(Math.max(fraction, 0), 1) * 1000) / 1000 : null;
    if (last[name] === value) return;
    last[name] = value;
    if (name === "fill" || name === "reserved") target.style.width = `${(value ?? 0) * 100}%`;
    else if (isShown) target.style.left = `${value * 100}%`;
    if (name !== "fill") setHidden(target, !isShown);
  }
  return {
    bar,
    set(values) {
      setHidden(bar, values.fill === null);
      place(fill, "fill", values.fill);
      for (const [name, mark] of byName) place(mark, name, values[name] ?? null);
    },
  };
}

/* A list of terms and values whose values change: facts([["power", "Power"], ...]).set("power", "71 W"). */
export function facts(rows) {
  const list = element("dl", { class: "facts" });
  const values = new Map();
  for (const [name, title] of rows) {
    const value = element("dd");
    values.set(name, value);
    list.append(element("div", {}, element("dt", { text: title }), value));
  }
  return {
    list,
    set(name, text) {
      setText(values.get(name), text);
    },
  };
}

/*
 * Has `parent` contain these children in this order. Those that go are removed first, so that the others need not be
 * moved: an element that is moved loses the focus.
 */
export function arrange(parent, wanted) {
  const stays = new Set(wanted);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const child of wanted) {
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/*
 * Opens a dialog over the page. The browser gives the focus back to what had it; where that has gone meanwhile, as the
 * row of a tenant that was deleted, the filter gets it.
 */
export function openDialog(dialog) {
  dialog.addEventListener(
    "close",
    () => {
      if (document.activeElement === document.body) document.getElementById("filter").focus();
    },
    { once: true },
  );
  dialog.showModal();
}
