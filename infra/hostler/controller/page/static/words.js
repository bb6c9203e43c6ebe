// Numbers in words that a person takes in at a glance, always with their unit. What is unknown says so, and is never 0.

const counted = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const MIB = 2 ** 20;

export function words(as, raw, unit = '') {
  if (raw === null || raw === undefined) return 'unknown';
  if (typeof raw !== 'number') return String(raw);
  return (FORMS[as] ?? String)(raw, unit);
}

const FORMS = {
  text: String,
  count: (x) => counted.format(x),
  tokens: (x) => `${counted.format(x)} tokens`,
  rate: (x) => `${x < 100 ? x.toFixed(1) : counted.format(x)} tokens/s`,
  latency: (x) => (x < 1 ? `${Math.round(x * 1000)} ms` : `${x.toFixed(x < 10 ? 1 : 0)} s`),
  mib: (x) => size(x * MIB),
  bytes: size,
  percent: (x) => `${Math.round(x)}%`,
  watts: (x) => `${Math.round(x)} W`,
  celsius: (x) => `${Math.round(x)} °C`,
  money: (x, unit) => `${x.toFixed(2)} ${unit}`,
  age: lasted,
  left: lasted,
  time: (x) => clock(x),
};

// As console/out.py has them.
export function lasted(seconds) {
  for (const [limit, unit, name] of [[90, 1, 's'], [90 * 60, 60, 'min'], [36 * 3600, 3600, 'h']]) {
    if (seconds < limit) return `${Math.max(0, Math.round(seconds / unit))} ${name}`;
  }
  return `${Math.round(seconds / 86400)} d`;
}

function size(bytes) {
  let rest = bytes;
  for (const name of ['B', 'KiB', 'MiB', 'GiB']) {
    if (rest < 1024) return name === 'B' ? `${rest.toFixed(0)} B` : `${rest.toFixed(1)} ${name}`;
    rest /= 1024;
  }
  return `${rest.toFixed(1)} TiB`;
}

export function clock(seconds) {
  const when = new Date(seconds * 1000);
  const today = when.toDateString() === new Date().toDateString();
  const day = { weekday: 'short', day: 'numeric', month: 'short' };
  return when.toLocaleString('en-GB', { ...(today ? {} : day), hour: '2-digit', minute: '2-digit' });
}

export function moment(seconds) {
  return new Date(seconds * 1000).toISOString();
}

export function many(count, one, more = `${one}s`) {
  return `${counted.format(count)} ${count === 1 ? one : more}`;
}
