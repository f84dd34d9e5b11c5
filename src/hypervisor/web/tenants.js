/*
 * The table of tenants: a row for each GPU that a tenant may use. Rows are changed in place, and keep their order
 * while somebody is among them: a row does not run away from who is about to press it.
 */
import { arrange, element, meter, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { DASH, bytes, count, isKnown, microseconds, percent, percentSet, plural } from "./format.js";

const PRIORITIES = { low: 0, normal: 1, high: 2 };

/* A column: its name, title, whether it holds numbers, and what rows are sorted by. */
const COLUMNS = [
  ["name", "Tenant", false, (row) => row.tenant.name],
  ["state", "State", false, (row) => row.tenant.state],
  ["gpu", "GPU", true, (row) => row.share?.index],
  ["share", "Share", true, (row) => row.share?.compute_used_percent],
  ["cap", "Cap", true, (row) => row.share?.compute_limit_percent],
  ["entitled", "Entitled", true, (row) => row.share?.entitled_percent],
  ["memory", "Memory", true, (row) => row.share?.memory_used_bytes],
  ["limit", "Limit", true, (row) => row.share?.memory_limit_bytes],
  ["weight", "Weight", true, (row) => row.share?.weight],
  ["priority", "Priority", false, (row) => PRIORITIES[row.share?.priority]],
  ["slice", "Slice", true, (row) => row.share?.slice_us],
  ["duty", "Duty", true, (row) => row.share?.duty_percent],
  ["processes", "Proc.", true, (row) => row.tenant.processes?.length],
];
const LONG_TITLES = { processes: "Processes" };

export function shareKey(tenant, share) {
  return `${share ? share.uuid : ""} ${tenant.name}`;
}

/* Unknown values come last, whichever way is sorted. */
function compare(a, b, isDescending) {
  if (!isKnown(a) || !isKnown(b)) return Number(!isKnown(a)) - Number(!isKnown(b));
  const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return isDescending ? -order : order;
}

function fraction(part, whole) {
  return isKnown(part) && isKnown(whole) && whole > 0 ? part / whole : null;
}

function tenantRow(onOpen) {
  const open = element("button", { type: "button", class: "name", tabindex: "-1" });
  const state = element("span", { class: "state" });
  const shareMeter = meter("entitled", "cap");
  const memoryMeter = meter();
  const texts = {};
  const cells = COLUMNS.map(([name, title, isNumber]) => {
    const cell = element(name === "name" ? "th" : "td", {
      role: name === "name" ? "rowheader" : "cell",
      scope: name === "name" ? "row" : null,
      class: `cell-${name}${isNumber ? " number" : ""}`,
      "data-title": LONG_TITLES[name] ?? title,
    });
    if (name === "name") cell.append(open);
    else if (name === "state") cell.append(state);
    else {
      texts[name] = element("span");
      cell.append(texts[name]);
      if (name === "share") cell.append(shareMeter.bar);
      if (name === "memory") cell.append(memoryMeter.bar);
    }
    return cell;
  });
  const root = element("tr", { role: "row" }, ...cells);
  const row = { root, open, tenant: null, share: null, words: "" };
  open.addEventListener("click", () => onOpen(row.tenant.name));

  row.update = (tenant, share, isStale) => {
    const live = (value) => (isStale ? null : value);
    row.tenant = tenant;
    row.share = share;
    row.words = `${tenant.name} ${tenant.state} ${share?.priority ?? ""} gpu${share?.index ?? ""}`.toLowerCase();
    const limit = share?.memory_limit_bytes;
    const used = live(share?.memory_used_bytes);
    setText(open, tenant.name);
    setText(state, tenant.state);
    setClass(state, `state state-${/^[a-z]+$/.test(tenant.state) ? tenant.state : "unknown"}`);
    setText(texts.gpu, count(share?.index));
    setText(texts.share, percent(live(share?.compute_used_percent)));
    setText(texts.cap, share && share.compute_limit_percent === null ? "none" : percentSet(share?.compute_limit_percent));
    setText(texts.entitled, percent(share?.entitled_percent));
    setText(texts.memory, bytes(used));
    setText(texts.limit, share && limit === null ? "none" : bytes(limit));
    setText(texts.weight, count(share?.weight));
    setText(texts.priority, share?.priority ?? DASH);
    setText(texts.slice, microseconds(share?.slice_us));
    setText(texts.duty, percent(live(share?.duty_percent)));
    setText(texts.processes, count(tenant.processes?.length));
    shareMeter.set({
      fill: fraction(live(share?.compute_used_percent), 100),
      cap: fraction(share?.compute_limit_percent, 100),
      entitled: fraction(share?.entitled_percent, 100),
    });
    memoryMeter.set({ fill: fraction(used, limit) });
  };
  return row;
}

export class TenantTable {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.body = document.getElementById("tenant-rows");
    this.table = document.getElementById("tenant-table");
    this.none = document.getElementById("tenants-none");
    this.countText = document.getElementById("tenants-count");
    this.filterField = document.getElementById("filter");
    this.sortField = document.getElementById("sort");
    this.sortWay = document.getElementById("sort-way"); /* both where there is no room for the head */
    this.rows = new Map();
    this.order = [];
    this.sortName = "name";
    this.isDescending = false;
    this.current = null; /* the row that Tab comes to */
    this.tenantCount = 0;
    this.makeHead();
    this.filterField.addEventListener("input", () => this.arrange());
    this.filterField.addEventListener("keydown", (event) => this.onFilterKey(event));
    this.body.addEventListener("keydown", (event) => this.onRowKey(event));
    this.body.addEventListener("focusin", (event) => this.onFocus(event));
  }

  makeHead() {
    const head = document.getElementById("tenant-head");
    this.heads = new Map();
    for (const [name, title, isNumber] of COLUMNS) {
      const words = LONG_TITLES[name] ?? title;
      const button = element("button", { type: "button", class: "sort", "aria-label": words }, element("span", { text: title }));
      const cell = element("th", { role: "columnheader", scope: "col", class: `cell-${name}${isNumber ? " number" : ""}` }, button);
      button.addEventListener("click", () => this.sortBy(name));
      head.append(cell);
      this.heads.set(name, cell);
      this.sortField.append(element("option", { value: name, text: words }));
    }
    this.sortField.addEventListener("change", () => this.sortBy(this.sortField.value));
    this.sortWay.addEventListener("click", () => this.sortBy(this.sortName));
    this.showSort();
  }

  /* Names and words rise at first, numbers fall: who sorts by share looks for the largest. */
  sortBy(name) {
    const isNumber = COLUMNS.find((column) => column[0] === name)[2];
    this.isDescending = this.sortName === name ? !this.isDescending : isNumber;
    this.sortName = name;
    this.showSort();
    this.arrange();
  }

  showSort() {
    for (const [name, cell] of this.heads) {
      const way = this.isDescending ? "descending" : "ascending";
      setAttribute(cell, "aria-sort", name === this.sortName ? way : null);
    }
    this.sortField.value = this.sortName;
    setText(this.sortWay, this.isDescending ? "\u2193 falling" : "\u2191 rising");
  }

  /* Takes a sample in; a tenant without a GPU (a queued one) has one row all the same. */
  update(tenants, isStale) {
    const seen = new Set();
    const gpus = new Set();
    let isNew = false;
    for (const tenant of tenants) {
      for (const share of tenant.gpus?.length ? tenant.gpus : [null]) {
        const key = shareKey(tenant, share);
        let row = this.rows.get(key);
        if (!row) {
          row = tenantRow(this.onOpen);
          this.rows.set(key, row);
          isNew = true;
        }
        if (share) gpus.add(share.uuid);
        row.update(tenant, share, isStale);
        seen.add(key);
      }
    }
    for (const key of this.rows.keys())
      if (!seen.has(key)) {
        this.rows.delete(key);
        isNew = true;
      }
    this.tenantCount = tenants.length;
    setClass(this.table, gpus.size > 1 ? "tenant-table" : "tenant-table one-gpu");
    if (isNew || !this.isInUse()) this.arrange();
  }

  isInUse() {
    return this.body.contains(document.activeElement) || this.body.matches(":hover");
  }

  arrange() {
    const wanted = this.filterField.value.trim().toLowerCase().split(/\s+/);
    const value = COLUMNS.find((column) => column[0] === this.sortName)[3];
    const visible = [...this.rows.values()].filter((row) => wanted.every((word) => row.words.includes(word)));
    visible.sort(
      (a, b) =>
        compare(value(a), value(b), this.isDescending) ||
        compare(a.tenant.name, b.tenant.name, false) ||
        compare(a.share?.index, b.share?.index, false),
    );
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    this.order = visible;
    arrange(
      this.body,
      visible.map((row) => row.root),
    );
    if (!visible.includes(this.current)) this.makeCurrent(visible[0] ?? null);
    if (focused && document.activeElement !== focused) (this.current?.open ?? this.filterField).focus();
    this.showCount(new Set(visible.map((row) => row.tenant.name)).size);
  }

  showCount(shown) {
    const all = plural(this.tenantCount, "tenant", "tenants");
    setText(this.countText, shown === this.tenantCount ? all : `${shown} of ${all}`);
    setHidden(this.none, shown > 0);
    setHidden(this.table, shown === 0);
    setText(this.none, this.tenantCount ? "No tenant fits the filter." : "No tenants. Start one with: vgpu run --compute 30% -- COMMAND");
  }

  /* Of all rows one is a stop of the Tab key; the arrows go to the others. */
  makeCurrent(row) {
    if (this.current) setAttribute(this.current.open, "tabindex", "-1");
    this.current = row;
    if (row) setAttribute(row.open, "tabindex", "0");
  }

  onFocus(event) {
    const row = this.order.find((candidate) => candidate.open === event.target);
    if (row && row !== this.current) this.makeCurrent(row);
  }

  onRowKey(event) {
    const at = this.order.indexOf(this.current);
    const last = this.order.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.order[Math.min(Math.max(to, 0), last)].open.focus();
  }

  onFilterKey(event) {
    if (event.key === "Escape" && this.filterField.value) {
      this.filterField.value = "";
      this.arrange();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      this.current?.open.focus();
    } else {
      return;
    }
    event.preventDefault();
  }
}
