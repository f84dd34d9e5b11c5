/* The form that changes a tenant's limits. It sends what was changed and nothing else. */
import { request, tenantPath } from "./api.js";
import { element, setHidden, setText } from "./dom.js";
import { bytesExact, isKnown } from "./format.js";

const FIELDS = ["memory", "compute", "weight", "priority"];

/* What the fields hold for a tenant that nobody has touched: as text, empty for no limit. */
function textsOf(share) {
  return {
    memory: bytesExact(share.memory_limit_bytes),
    compute: isKnown(share.compute_limit_percent) ? String(share.compute_limit_percent) : "",
    weight: isKnown(share.weight) ? String(share.weight) : "",
    priority: share.priority ?? "normal",
  };
}

/* The value of one field as the API takes it. What is no number goes as text: the daemon says what it lacks. */
function valueOf(name, text) {
  if (name === "memory") return text === "" ? null : text.replace(/\s+/g, "");
  if (name === "priority") return text;
  if (text === "" && name === "compute") return null;
  const plain = text.replace(/\s*%$/, "");
  return /^\d+(\.\d+)?$/.test(plain) ? Number(plain) : text;
}

function field(name, title, hint, control) {
  control.id = `limit-${name}`;
  control.name = name;
  if (hint) control.setAttribute("aria-describedby", `hint-${name}`);
  return element(
    "div",
    { class: "field" },
    element("label", { for: `limit-${name}`, text: title }),
    control,
    hint ? element("span", { class: "hint", id: `hint-${name}`, text: hint }) : "",
  );
}

function textField(attributes) {
  return element("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
}

/* limitsForm(getName, onChanged): `onChanged` hears of it when the daemon has taken a change. */
export function limitsForm(getName, onChanged) {
  const controls = {
    memory: textField({ placeholder: "none" }),
    compute: textField({ placeholder: "none", inputmode: "decimal" }),
    weight: textField({ inputmode: "numeric" }),
    priority: element("select", {}, ...["high", "normal", "low"].map((word) => element("option", { value: word, text: word }))),
  };
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const done = element("p", { class: "done", role: "status" });
  const apply = element("button", { type: "submit", class: "primary", text: "Apply" });
  const reset = element("button", { type: "button", text: "Reset" });
  const form = element(
    "form",
    { class: "limits" },
    element(
      "div",
      { class: "fields" },
      field("memory", "Memory", "8GiB, or 40% of the card; empty: no limit", controls.memory),
      field("compute", "Compute cap, %", "1 to 100; empty: no cap", controls.compute),
      field("weight", "Weight", "its part of what others want too", controls.weight),
      field("priority", "Priority", "", controls.priority),
    ),
    error,
    element("div", { class: "actions" }, done, reset, apply),
  );
  let shown = {}; /* the texts that the fields were given */
  let isSending = false; /* a button that were disabled for that would lose the focus */

  const text = (name) => controls[name].value.trim();
  const isTouched = (name) => name in shown && text(name) !== shown[name];

  function fill(share, isForced) {
    const texts = textsOf(share);
    for (const name of FIELDS)
      if (isForced || (!isTouched(name) && document.activeElement !== controls[name])) {
        if (controls[name].value !== texts[name]) controls[name].value = texts[name];
        shown[name] = texts[name];
      }
  }

  function say(problem, words) {
    setHidden(error, !problem);
    setText(error, problem ?? "");
    setText(done, words ?? "");
  }

  async function send(event) {
    event.preventDefault();
    if (isSending) return;
    const changes = {};
    const sent = {};
    for (const name of FIELDS)
      if (isTouched(name)) {
        sent[name] = text(name);
        changes[name] = valueOf(name, sent[name]);
      }
    if (!Object.keys(changes).length) return say(null, "Nothing was changed.");
    isSending = true;
    try {
      await request("PATCH", tenantPath(getName()), changes);
      Object.assign(shown, sent);
      say(null, "Applied.");
      onChanged();
    } catch (problem) {
      say(problem.message);
    } finally {
      isSending = false;
    }
  }

  let newest = null;
  form.addEventListener("submit", send);
  form.addEventListener("input", () => say(null));
  reset.addEventListener("click", () => {
    fill(newest, true);
    say(null);
  });
  return {
    form,
    /* Another tenant, or null, one that has no GPU yet: what was typed is dropped. */
    begin(share) {
      newest = share;
      shown = {};
      if (share) fill(share, true);
      say(null);
    },
    /* The same one, newly seen: what was typed stays. */
    update(share) {
      newest = share;
      fill(share, false);
    },
  };
}
