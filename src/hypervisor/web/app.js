/*
 * The page: takes samples in, keeps their history, and has the parts show them. What is shown is either as old as
 * the last sample, less than five seconds, or said to be unknown.
 */
import { follow, request, token } from "./api.js";
import { Detail, confirmDelete } from "./detail.js";
import { element, openDialog, setClass, setHidden, setText } from "./dom.js";
import { EventList, ForeignList } from "./events.js";
import { DASH, isKnown } from "./format.js";
import { gpuCards } from "./gpus.js";
import { History } from "./history.js";
import { TenantTable, shareKey } from "./tenants.js";

const STALE_AFTER_MS = 5000;
const RECONNECT_AFTER_MS = 15_000; /* a stream that is open and silent is begun anew */
const NODE_EVERY_MS = 5000;

const byId = (id) => document.getElementById(id);

const page = {
  gpus: [],
  tenants: [],
  node: null,
  sampleUnixMs: 0,
  sampleAt: null, /* by the page's own clock: the node's may be another */
  startedAt: performance.now(),
  connection: "connecting",
  problem: null,
  isDrawn: true,
};
const gpuHistory = new History(["busy"]);
const shareHistory = new History(["used", "cap", "entitled", "memory", "limit"]);

function silentMs() {
  return performance.now() - (page.sampleAt ?? page.startedAt);
}

function isStale() {
  return page.sampleAt === null || silentMs() > STALE_AFTER_MS;
}

/* The node's clock now: a history goes on to the left while nothing comes. */
function nodeNow() {
  return page.sampleAt === null ? Date.now() : page.sampleUnixMs + silentMs();
}

const detail = new Detail({
  shareHistory,
  isStale,
  now: nodeNow,
  find: (name) => page.tenants.find((tenant) => tenant.name === name),
  mayChange: () => Boolean(page.node?.may_change),
  confirmDelete: (tenant) => confirmDelete(tenant, () => byId("detail").close()),
});
const cards = gpuCards(byId("gpus"));
const table = new TenantTable((name) => detail.open(name));
const events = new EventList();
const foreign = new ForeignList();

/* --- what is shown --- */

function showStatus() {
  const seconds = Math.floor(silentMs() / 1000);
  let words = "Live";
  let light = "light-good";
  if (page.connection === "refused" && [401, 403].includes(page.problem.status)) {
    words = "A token is needed";
    light = "light-bad";
  } else if (page.sampleAt === null && silentMs() < STALE_AFTER_MS) {
    words = "Connecting";
    light = "light-wait";
  } else if (isStale()) {
    words = page.connection === "refused" ? `${page.problem.message}, no data for ${seconds} s` : `No data for ${seconds} s`;
    light = "light-bad";
  } else if (page.connection !== "live") {
    words = "Reconnecting";
    light = "light-wait";
  }
  setText(byId("status"), words);
  setClass(byId("status-light"), `light ${light}`);
  document.body.classList.toggle("is-stale", page.sampleAt !== null && isStale());
}

function draw() {
  showStatus();
  if (document.hidden) {
    page.isDrawn = false;
    return;
  }
  page.isDrawn = true;
  if (page.sampleAt === null) return;
  cards.update(page.gpus, isStale(), gpuHistory, nodeNow());
  table.update(page.tenants, isStale());
  detail.update();
  setHidden(byId("gpus-none"), page.gpus.length > 0);
  setText(byId("gpus-none"), "No GPUs were found on this node.");
}

function showFaults(node) {
  const words = (node.faults ?? []).map((fault) => `${fault.component}: ${fault.text}`);
  if (node.is_ready === false) words.push("node: the daemon is not ready yet");
  const target = byId("faults");
  /* Unchanged faults are left alone, or a screen reader would say them again. */
  if (target.dataset.words === words.join("\n")) return;
  target.dataset.words = words.join("\n");
  target.replaceChildren(...words.map((text) => element("p", { class: "banner banner-fault", text })));
}

function showNode(node) {
  page.node = node;
  setText(byId("node"), node.node || DASH);
  document.title = node.node ? `${node.node} \u00b7 vgpu` : "vgpu";
  const parts = [node.version && `vgpu ${node.version}`, node.driver && `driver ${node.driver}`];
  setText(byId("about"), parts.filter(Boolean).join(" \u00b7 "));
  showFaults(node);
  foreign.update(node.foreign ?? [], page.gpus);
  setHidden(byId("rights"), node.may_change);
  setText(byId("rights"), "Read only. An operator\u2019s token gives the right to change limits.");
  detail.update();
}

/* --- what comes in --- */

function remember(sample) {
  for (const gpu of sample.gpus) gpuHistory.add(gpu.uuid, sample.unix_ms, { busy: gpu.is_lost ? null : gpu.busy_percent });
  for (const tenant of sample.tenants)
    for (const share of tenant.gpus ?? [])
      shareHistory.add(shareKey(tenant, share), sample.unix_ms, {
        used: share.compute_used_percent,
        cap: share.compute_limit_percent,
        entitled: share.entitled_percent,
        memory: share.memory_used_bytes,
        limit: share.memory_limit_bytes,
      });
}

function takeSample(sample) {
  page.gpus = sample.gpus;
  page.tenants = sample.tenants;
  page.sampleUnixMs = sample.unix_ms;
  const isFirst = page.sampleAt === null;
  page.sampleAt = performance.now();
  remember(sample);
  draw();
  if (isFirst) openFromAddress();
}

function takeEvent(kind, data) {
  if (kind === "sample") return takeSample(data);
  if (!isKnown(data.number) || !isKnown(data.unix_ms)) return;
  events.add(data);
  if (/^(fault|foreign|gpu)-/.test(kind)) loadNode();
}

async function loadNode() {
  try {
    showNode(await request("GET", "node"));
  } catch {
    /* The stream has the same trouble, and says so. */
  }
}

function openFromAddress() {
  const found = /^#tenant=(.*)$/.exec(location.hash);
  if (!found) return;
  try {
    detail.open(decodeURIComponent(found[1]));
  } catch {
    /* an address that somebody has mangled names no tenant */
  }
}

const stream = follow(takeEvent, (state, problem) => {
  page.connection = state;
  page.problem = problem ?? null;
  showStatus();
  if (state === "live") loadNode();
});

function tick() {
  if (isStale()) {
    draw();
    gpuHistory.forget(nodeNow());
    shareHistory.forget(nodeNow());
  } else {
    showStatus();
  }
  if (page.connection === "live" && silentMs() > RECONNECT_AFTER_MS) {
    page.connection = "connecting";
    stream.restart();
  }
}

setInterval(tick, 1000);
setInterval(loadNode, NODE_EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !page.isDrawn) draw();
});

/* --- token, help, keys --- */

function say(problem) {
  setText(byId("token-error"), problem ?? "");
  setHidden(byId("token-error"), !problem);
}

async function useToken(event) {
  event.preventDefault();
  const before = token.get();
  token.set(byId("token-value").value.trim());
  try {
    /* A reader's is worth keeping, too: from afar nothing is seen without one. That it is read only stands on the page. */
    const node = await request("GET", "node");
    byId("token").close();
    showNode(node);
    stream.restart();
  } catch (problem) {
    token.set(before);
    say(problem.message);
    byId("token-value").focus();
  }
}

byId("token-open").addEventListener("click", () => {
  say(null);
  byId("token-value").value = "";
  setHidden(byId("token-forget"), !token.get());
  openDialog(byId("token"));
  byId("token-value").focus();
});
byId("token-form").addEventListener("submit", useToken);
byId("token-close").addEventListener("click", () => byId("token").close());
byId("token-forget").addEventListener("click", () => {
  token.set("");
  byId("token").close();
  loadNode();
  stream.restart();
});
byId("help-open").addEventListener("click", () => openDialog(byId("help")));
byId("help-close").addEventListener("click", () => byId("help").close());

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, select, textarea");
  const isOverlaid = document.querySelector("dialog[open]");
  if (isTyping || isOverlaid || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "/") byId("filter").focus();
  else if (event.key === "?") openDialog(byId("help"));
  else return;
  event.preventDefault();
});
