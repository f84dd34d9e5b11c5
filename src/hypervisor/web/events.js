/* What has happened, and who uses a GPU without being a tenant. */
import { arrange, element, setHidden, setText } from "./dom.js";
import { DASH, bytes, clockTime, count } from "./format.js";

const EVENTS_SHOWN = 200;
const TONES = {
  "fault-began": "fault",
  "gpu-lost": "fault",
  "supervisor-lost": "fault",
  "tenant-refused": "warning",
  "foreign-found": "warning",
  "tenant-queued": "warning",
};

export class EventList {
  constructor() {
    this.list = document.getElementById("events");
    this.frame = document.getElementById("events-frame");
    this.none = document.getElementById("events-none");
    this.seen = new Set();
  }

  add(event) {
    const key = `${event.number} ${event.unix_ms}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    const kind = element("span", { class: `event-kind tag-${TONES[event.kind] ?? "quiet"}`, text: event.kind.replaceAll("-", " ") });
    const time = element("time", { datetime: new Date(event.unix_ms).toISOString(), text: clockTime(event.unix_ms) });
    const item = element("li", {}, time, kind, element("span", { class: "event-text", text: event.text }));
    this.list.prepend(item);
    while (this.list.childElementCount > EVENTS_SHOWN) this.list.lastElementChild.remove();
    if (this.seen.size > 4096) this.seen = new Set([key]);
    setHidden(this.frame, false);
    setHidden(this.none, true);
  }
}

/* A GPU is named by its index or its UUID. */
function gpuName(gpu, gpus) {
  const found = gpus.find((candidate) => candidate.uuid === gpu);
  return found ? String(found.index) : count(gpu);
}

export class ForeignList {
  constructor() {
    this.body = document.getElementById("foreign");
    this.frame = document.getElementById("foreign-frame");
    this.none = document.getElementById("foreign-none");
    this.rows = new Map();
    setHidden(this.frame, true);
  }

  update(foreign, gpus) {
    const seen = new Map();
    for (const process of foreign) {
      const key = `${process.pid} ${process.gpu}`;
      const row = this.rows.get(key) ?? this.makeRow();
      const words = [
        count(process.pid),
        process.comm || DASH,
        count(process.uid),
        gpuName(process.gpu, gpus),
        bytes(process.memory_bytes),
        (process.tenant || "nobody") + (process.is_stopped ? ", being ended" : ""),
      ];
      words.forEach((text, i) => setText(row.children[i], text));
      seen.set(key, row);
    }
    this.rows = seen;
    arrange(this.body, [...seen.values()]);
    setHidden(this.frame, seen.size === 0);
    setHidden(this.none, seen.size > 0);
  }

  makeRow() {
    const isNumber = [true, false, true, true, true, false];
    return element("tr", {}, ...isNumber.map((number) => element("td", { class: number ? "number" : null })));
  }
}
