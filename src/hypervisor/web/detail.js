/* One tenant, in a drawer over the page: histories, figures, processes, why it gets what it gets, its limits. */
import { request, tenantPath } from "./api.js";
import { arrange, element, facts, openDialog, setClass, setHidden, setText } from "./dom.js";
import { DASH, bytes, count, isKnown, microseconds, percent, percentSet, plural } from "./format.js";
import { graph } from "./graph.js";
import { limitsForm } from "./limits.js";
import { shareKey } from "./tenants.js";

const EXPLAIN_EVERY_MS = 5000;
const TENANT_FACTS = [
  ["engine", "Engine"],
  ["uid", "User"],
  ["onLoss", "Without supervisor"],
  ["supervisor", "Supervisor"],
  ["restarts", "Its restarts"],
  ["kept", "Without processes"],
  ["refusals", "Allocations refused"],
  ["calls", "Driver calls"],
  ["unparsed", "Not understood"],
];
const SHARE_FACTS = [
  ["cap", "Cap"],
  ["entitled", "Entitled"],
  ["weight", "Weight"],
  ["priority", "Priority"],
  ["slice", "Slice"],
  ["duty", "Duty"],
  ["limit", "Memory limit"],
  ["nvml", "Memory by NVML"],
  ["switches", "Switch calls"],
  ["late", "Late looks"],
  ["failures", "Failed controls"],
  ["control", "Control takes"],
];
const SCALES = [5, 10, 25, 50, 100];

function section(title, ...children) {
  return element("section", {}, element("h3", { text: title }), ...children);
}

/* The part of one GPU: two histories and the figures beside them. */
function sharePart() {
  const title = element("h3");
  const share = graph({
    title: "Share received",
    area: "used",
    lines: [["cap", "cap"], ["entitled", "entitled"]],
    format: (value) => percent(value),
    scale: percentSet,
    top: (most) => SCALES.find((scale) => scale >= most * 1.25) ?? 100,
  });
  const memory = graph({
    title: "Memory",
    area: "memory",
    lines: [["limit", "limit"]],
    format: bytes,
    scale: bytes,
    top: (most) => Math.max(most * 1.25, 1024 ** 2),
  });
  const list = facts(SHARE_FACTS);
  const root = element("section", {}, title, element("div", { class: "graphs" }, share.figure, memory.figure), list.list);
  function update(part, isStale, rings, now) {
    const live = (value) => (isStale ? null : value);
    setText(title, `GPU ${part.index}`);
    share.draw(rings, now);
    memory.draw(rings, now);
    list.set("cap", part.compute_limit_percent === null ? "none" : percentSet(part.compute_limit_percent));
    list.set("entitled", percent(part.entitled_percent));
    list.set("weight", count(part.weight));
    list.set("priority", part.priority ?? DASH);
    list.set("slice", microseconds(part.slice_us));
    list.set("duty", percent(live(part.duty_percent)));
    list.set("limit", part.memory_limit_bytes === null ? "none" : bytes(part.memory_limit_bytes));
    list.set("nvml", bytes(live(part.memory_nvml_bytes)));
    list.set("switches", count(part.switch_calls));
    list.set("late", count(part.late_looks));
    list.set("failures", count(part.control_failures));
    list.set("control", isKnown(part.control_us) ? microseconds(Math.round(part.control_us)) : DASH);
  }
  return { root, update };
}

export class Detail {
  /* `context` is the page's: its history, its rights, what to do after a change. */
  constructor(context) {
    this.context = context;
    this.dialog = document.getElementById("detail");
    this.name = null;
    this.parts = new Map();
    this.processRows = new Map();
    this.build();
    this.dialog.addEventListener("close", () => {
      if (this.dialog.open) return; /* the event comes late: another tenant was opened already */
      this.name = null;
      clearInterval(this.timer);
      if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  build() {
    this.title = element("h2", { id: "detail-title", tabindex: "-1" });
    this.state = element("span", { class: "state" });
    const close = element("button", { type: "button", class: "quiet", text: "Close" });
    close.addEventListener("click", () => this.dialog.close());
    this.gone = element("p", { class: "note", text: "This tenant has ended.", hidden: true });
    this.shares = element("div");
    this.tenantFacts = facts(TENANT_FACTS);
    this.processes = element("tbody");
    this.noProcesses = element("p", { class: "empty", text: "None." });
    this.processTable = element(
      "table",
      { class: "plain", "aria-label": "Processes" },
      element("thead", {}, element("tr", {}, ...["Process", "Command", "Memory"].map((text, i) => element("th", { scope: "col", text, class: i === 1 ? null : "number" })))),
      this.processes,
    );
    this.explain = element("div", { class: "explain" });
    this.buildControls();
    this.dialog.append(
      element("div", { class: "drawer-head" }, this.title, this.state, close),
      element(
        "div",
        { class: "drawer-body" },
        this.gone,
        this.shares,
        this.controls,
        this.readOnly,
        section("Why it gets what it gets", this.explain),
        section("Processes", this.processTable, this.noProcesses),
        section("Tenant", this.tenantFacts.list),
      ),
    );
  }

  buildControls() {
    this.limits = limitsForm(() => this.name, () => this.loadExplain());
    this.suspend = element("button", { type: "button" });
    this.remove = element("button", { type: "button", class: "danger", text: "Delete\u2026" });
    this.actionError = element("p", { class: "error", role: "alert", hidden: true });
    this.controls = section(
      "Limits",
      this.limits.form,
      this.actionError,
      element("div", { class: "actions actions-left" }, this.suspend, this.remove),
    );
    this.readOnly = element("p", { class: "note" });
    this.suspend.addEventListener("click", () => this.toggleSuspended());
    this.remove.addEventListener("click", () => this.context.confirmDelete(this.tenant));
  }

  open(name) {
    const tenant = this.context.find(name);
    if (!tenant) return;
    this.name = name;
    this.parts.clear();
    this.shares.replaceChildren();
    this.explain.replaceChildren();
    this.explained = null;
    setHidden(this.actionError, true);
    this.limits.begin(tenant.gpus?.[0] ?? null);
    this.update();
    history.replaceState(null, "", `#tenant=${encodeURIComponent(name)}`);
    openDialog(this.dialog);
    this.title.focus();
    this.dialog.querySelector(".drawer-body").scrollTop = 0;
    this.loadExplain();
    clearInterval(this.timer);
    this.timer = setInterval(() => this.loadExplain(), EXPLAIN_EVERY_MS);
  }

  update() {
    if (this.name === null) return;
    const tenant = this.context.find(this.name);
    setHidden(this.gone, Boolean(tenant));
    if (tenant) this.tenant = tenant;
    const known = this.tenant;
    setText(this.title, known.name);
    setText(this.state, tenant ? known.state : "ended");
    setClass(this.state, `state state-${tenant && /^[a-z]+$/.test(known.state) ? known.state : "unknown"}`);
    this.updateShares(known);
    this.updateProcesses(tenant ? (known.processes ?? []) : []);
    this.updateFacts(known);
    this.updateControls(tenant);
  }

  updateShares(tenant) {
    for (const share of tenant.gpus ?? []) {
      if (!this.parts.has(share.uuid)) this.parts.set(share.uuid, sharePart());
      const rings = this.context.shareHistory.get(shareKey(tenant, share));
      this.parts.get(share.uuid).update(share, this.context.isStale(), rings, this.context.now());
    }
    arrange(
      this.shares,
      (tenant.gpus ?? []).map((share) => this.parts.get(share.uuid).root),
    );
  }

  updateProcesses(processes) {
    const rows = new Map();
    for (const process of processes) {
      const row =
        this.processRows.get(process.pid) ??
        element("tr", {}, element("td", { class: "number" }), element("td"), element("td", { class: "number" }));
      setText(row.children[0], count(process.pid));
      setText(row.children[1], process.comm || DASH);
      setText(row.children[2], bytes(this.context.isStale() ? null : process.memory_bytes));
      rows.set(process.pid, row);
    }
    this.processRows = rows;
    arrange(this.processes, [...rows.values()]);
    setHidden(this.processTable, rows.size === 0);
    setHidden(this.noProcesses, rows.size > 0);
  }

  updateFacts(tenant) {
    const list = this.tenantFacts;
    const losses = { open: "goes on uncapped", closed: "is ended" };
    list.set("engine", tenant.engine ?? DASH);
    list.set("uid", count(tenant.uid));
    list.set("onLoss", losses[tenant.on_loss] ?? DASH);
    list.set("supervisor", count(tenant.supervisor_pid));
    list.set("restarts", count(tenant.supervisor_restarts));
    list.set("kept", tenant.is_kept ? "stays" : "ends");
    list.set("refusals", count(tenant.refusals));
    list.set("calls", count(tenant.rm_calls));
    list.set("unparsed", count(tenant.rm_unparsed));
  }

  updateControls(tenant) {
    const mayChange = this.context.mayChange();
    const isOurs = tenant && !tenant.is_standalone;
    const isShown = Boolean(mayChange && isOurs);
    if (isShown && tenant.gpus?.length) this.limits.update(tenant.gpus[0]);
    setHidden(this.controls, !isShown);
    setHidden(this.limits.form, !tenant?.gpus?.length);
    setHidden(this.readOnly, isShown || !tenant);
    setText(
      this.readOnly,
      mayChange
        ? "Started by a vgpu run of its own: change it on the node with vgpu set."
        : "Read only. An operator\u2019s token gives the right to change limits: Token, at the top of the page.",
    );
    setText(this.suspend, tenant?.state === "suspended" ? "Resume" : "Suspend");
    setHidden(this.suspend, !["running", "suspended"].includes(tenant?.state));
    setHidden(this.remove, !tenant?.is_kept);
  }

  async toggleSuspended() {
    if (this.isSending) return;
    this.isSending = true;
    setHidden(this.actionError, true);
    try {
      const suspended = this.tenant.state !== "suspended";
      await request("PATCH", tenantPath(this.name), { suspended });
    } catch (problem) {
      setText(this.actionError, problem.message);
      setHidden(this.actionError, false);
    } finally {
      this.isSending = false;
    }
  }

  async loadExplain() {
    const name = this.name;
    if (name === null) return;
    if (this.tenant?.is_standalone) {
      this.explain.replaceChildren(element("p", { text: "Started by a vgpu run of its own: vgpu explain says it there." }));
      return;
    }
    let words;
    try {
      const answer = await request("GET", tenantPath(name, "/explain"));
      words = answer.gpus.flatMap((gpu) => gpu.sentences ?? []);
      if (!words.length) words = ["There is no plan yet."];
    } catch (problem) {
      words = [problem.message];
    }
    if (name !== this.name || words.join("\n") === this.explained) return;
    this.explained = words.join("\n");
    this.explain.replaceChildren(...words.map((text) => element("p", { text })));
  }
}

/* Asks before a tenant is deleted; resolves when the dialog is closed. */
export function confirmDelete(tenant, onDeleted) {
  const dialog = document.getElementById("confirm");
  const yes = document.getElementById("confirm-yes");
  const error = document.getElementById("confirm-error");
  const processes = tenant.processes?.length ?? 0;
  setText(document.getElementById("confirm-title"), `Delete tenant ${tenant.name}?`);
  setText(
    document.getElementById("confirm-text"),
    processes
      ? `It has ${plural(processes, "process", "processes")}, which will be ended. This cannot be undone.`
      : "It has no processes. Its limits are forgotten.",
  );
  setHidden(error, true);
  document.getElementById("confirm-no").onclick = () => dialog.close();
  let isSending = false;
  yes.onclick = async () => {
    if (isSending) return;
    isSending = true;
    try {
      await request("DELETE", tenantPath(tenant.name, processes ? "?force=true" : ""));
      dialog.close();
      onDeleted();
    } catch (problem) {
      setText(error, problem.message);
      setHidden(error, false);
    } finally {
      isSending = false;
    }
  };
  openDialog(dialog);
}
