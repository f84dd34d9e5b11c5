/* What was seen of each tenant's part of each GPU in the last five minutes, one sample a second. */

export const HISTORY_MS = 300_000;
const LENGTH = 302;

/* A ring of samples: an instant and some numbers each, NaN where one was not known. */
export class Ring {
  constructor(fields) {
    this.times = new Float64Array(LENGTH);
    this.values = Object.fromEntries(fields.map((name) => [name, new Float64Array(LENGTH)]));
    this.written = 0;
  }

  add(unixMs, sample) {
    if (this.written && unixMs <= this.times[(this.written - 1) % LENGTH]) return;
    const at = this.written++ % LENGTH;
    this.times[at] = unixMs;
    for (const name in this.values) this.values[name][at] = sample[name] ?? NaN;
  }

  /* Calls back with (unixMs, value) from the oldest to the newest. */
  each(name, visit) {
    const values = this.values[name];
    for (let i = Math.max(0, this.written - LENGTH); i < this.written; i++)
      visit(this.times[i % LENGTH], values[i % LENGTH]);
  }
}

/* Rings by a key; those that no sample fed for five minutes are forgotten. */
export class History {
  constructor(fields) {
    this.fields = fields;
    this.rings = new Map();
  }

  add(key, unixMs, sample) {
    let ring = this.rings.get(key);
    if (!ring) this.rings.set(key, (ring = new Ring(this.fields)));
    ring.add(unixMs, sample);
  }

  get(key) {
    return this.rings.get(key);
  }

  forget(unixMs) {
    for (const [key, ring] of this.rings)
      if (unixMs - ring.times[(ring.written - 1) % LENGTH] > HISTORY_MS) this.rings.delete(key);
  }
}
