/*
 * The daemon's HTTP API. Addresses are relative to the page, so that it may stand behind a proxy under another
 * path. The stream of events is read with fetch() and not with EventSource, which cannot carry a token.
 */

const TOKEN = "vgpu-token";
const BASE = "api/v1/";
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 8000;

/* The words of a problem document (RFC 9457), or as near as the answer comes to one. */
export class Problem extends Error {
  constructor(title, detail, status) {
    super(detail ? `${title}: ${detail}` : title);
    this.title = title;
    this.detail = detail;
    this.status = status;
  }
}

/* The token lives as long as the tab. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set(value) {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  },
};

function headers(more = {}) {
  const bearer = token.get();
  return bearer ? { ...more, Authorization: `Bearer ${bearer}` } : more;
}

async function problemOf(response) {
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text);
    if (typeof body.title === "string")
      return new Problem(body.title, typeof body.detail === "string" ? body.detail : "", response.status);
  } catch {
    /* not a problem document: the status says what is known */
  }
  return new Problem(`The daemon answered ${response.status} ${response.statusText}`.trim(), "", response.status);
}

/* Asks, and returns the answer's JSON (null where it has none); throws a Problem. */
export async function request(method, path, body) {
  const options = { method, headers: headers(), cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = headers({ "Content-Type": "application/json" });
  }
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch {
    throw new Problem("The daemon does not answer", "", 0);
  }
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export function tenantPath(name, rest = "") {
  return `tenants/${encodeURIComponent(name)}${rest}`;
}

/* Takes text/event-stream apart: push(text) calls back with {id, kind, data} for each whole event. */
function eventParser(onEvent) {
  let rest = "";
  let event = { id: "", kind: "message", data: [] };
  function line(text) {
    if (text === "") {
      if (event.data.length) onEvent({ ...event, data: event.data.join("\n") });
      event = { id: event.id, kind: "message", data: [] };
      return;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "id") event.id = value;
    else if (field === "event") event.kind = value;
    else if (field === "data") event.data.push(value);
  }
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}

async function readStream(response, onEvent) {
  const push = eventParser(onEvent);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    push(value);
  }
}

/*
 * Follows the daemon's events for as long as the page is there: onEvent(kind, data), onState("live" |
 * "connecting" | "refused", problem). `restart()` begins anew at once, with another token say.
 */
export function follow(onEvent, onState) {
  let last = 0; /* number of the newest event seen; another daemon begins anew */
  let waitMs = RETRY_FIRST_MS;
  let abort = new AbortController();
  let wake = () => {};

  function take(event) {
    if (/^\d+$/.test(event.id)) last = Number(event.id);
    waitMs = RETRY_FIRST_MS;
    onEvent(event.kind, JSON.parse(event.data));
  }

  async function connect() {
    const response = await fetch(`${BASE}events?samples_hz=1&after=${last}`, {
      headers: headers({ Accept: "text/event-stream" }),
      cache: "no-store",
      signal: abort.signal,
    });
    if (!response.ok) {
      onState("refused", await problemOf(response));
      return;
    }
    onState("live");
    await readStream(response, take);
    onState("connecting");
  }

  async function run() {
    for (;;) {
      try {
        await connect();
      } catch {
        onState("connecting");
      }
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, waitMs);
      });
      waitMs = Math.min(waitMs * 2, RETRY_MOST_MS);
    }
  }

  run();
  return {
    restart() {
      waitMs = RETRY_FIRST_MS;
      abort.abort();
      abort = new AbortController();
      wake();
    },
  };
}
