/* The cards: one for each GPU, changed in place. */
import { arrange, element, facts, meter, setClass, setHidden, setText } from "./dom.js";
import { DASH, bytes, bytesPerSecondPair, isKnown, percent, percentSet, unit } from "./format.js";
import { sparkline } from "./graph.js";

const ROWS = [
  ["power", "Power"],
  ["temperature", "Temperature"],
  ["memoryBusy", "Memory busy"],
  ["caps", "Caps together"],
  ["clocks", "SM / memory clock"],
  ["pcie", "PCIe in / out"],
];

/* What is wrong with a GPU, in words; null: nothing is known to be. */
function trouble(gpu) {
  if (gpu.is_lost) return ["fault", "Lost: the driver no longer reaches this GPU"];
  if (gpu.scheduler === "inert")
    return ["warning", "Inert: its scheduler ignores what it is told, so shares are not enforced"];
  if (gpu.scheduler === "not-tested") return ["quiet", "Scheduler not tested: vgpu doctor does that"];
  return null;
}

function fractionOf(part, whole) {
  return isKnown(part) && isKnown(whole) && whole > 0 ? part / whole : null;
}

function card() {
  const title = element("h3");
  const id = element("p", { class: "card-id" });
  const state = element("p", { class: "card-state", hidden: true });
  const memory = meter("reserved");
  const used = element("span");
  const reserved = element("span", { class: "key key-reserved" });
  const busy = element("span", { class: "card-figure" });
  const line = sparkline();
  const list = facts(ROWS);
  const root = element(
    "article",
    { class: "card" },
    element("div", { class: "card-head" }, element("div", {}, title, id), element("p", { class: "card-busy" }, busy, element("span", { class: "card-unit", text: "busy" }))),
    line.svg,
    state,
    element("div", { class: "card-memory" }, memory.bar, element("p", {}, used, reserved)),
    list.list,
  );

  function update(gpu, isStale, ring, now) {
    const live = (value) => (isStale || gpu.is_lost ? null : value);
    const wrong = trouble(gpu);
    setText(title, `GPU ${gpu.index} \u00b7 ${gpu.model}`);
    setText(id, gpu.uuid);
    id.title = gpu.uuid;
    setClass(root, gpu.is_lost ? "card card-lost" : "card");
    setHidden(state, !wrong);
    if (wrong) {
      setClass(state, `card-state tag-${wrong[0]}`);
      setText(state, wrong[1]);
    }
    memory.set({
      fill: fractionOf(live(gpu.memory_used_bytes), gpu.memory_bytes),
      reserved: fractionOf(gpu.memory_reserved_bytes, gpu.memory_bytes),
    });
    setText(used, `${bytes(live(gpu.memory_used_bytes))} used of ${bytes(gpu.memory_bytes)}`);
    setText(reserved, `${bytes(gpu.memory_reserved_bytes)} reserved`);
    setText(busy, percent(live(gpu.busy_percent), 0));
    list.set("power", unit(live(gpu.power_watts), "W"));
    list.set("temperature", unit(live(gpu.temperature_celsius), "\u00b0C"));
    list.set("memoryBusy", percent(live(gpu.memory_busy_percent), 0));
    list.set("caps", percentSet(gpu.compute_reserved_percent));
    list.set("clocks", clocks(live(gpu.sm_clock_mhz), live(gpu.memory_clock_mhz)));
    list.set("pcie", bytesPerSecondPair(live(gpu.pcie_receive_bytes_per_second), live(gpu.pcie_transmit_bytes_per_second)));
    line.draw(ring, "busy", now, 100);
  }
  return { root, update };
}

function clocks(sm, memory) {
  return isKnown(sm) || isKnown(memory) ? `${isKnown(sm) ? sm : DASH} / ${unit(memory, "MHz")}` : DASH;
}

export function gpuCards(parent) {
  const cards = new Map();
  return {
    update(gpus, isStale, history, now) {
      for (const gpu of gpus) {
        if (!cards.has(gpu.uuid)) cards.set(gpu.uuid, card());
        cards.get(gpu.uuid).update(gpu, isStale, history.get(gpu.uuid), now);
      }
      for (const uuid of cards.keys()) if (!gpus.some((gpu) => gpu.uuid === uuid)) cards.delete(uuid);
      arrange(
        parent,
        gpus.map((gpu) => cards.get(gpu.uuid).root),
      );
    },
  };
}
