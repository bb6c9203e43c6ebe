// The snapshot, and what follows from it: each number on the page is a path of it, or a sum of paths.

import { h } from './dom.js';
import { many, moment, words } from './words.js';

let snapshot = {};
export const hold = (data) => { snapshot = data; };
export const data = () => snapshot;
export const list = (name) => snapshot[name] ?? [];

const one = (path) => path.split('.').reduce((value, key) => value?.[key], snapshot) ?? null;

// "a.0.b + a.1.b - c": null as soon as one of them is not known.
export function find(path) {
  const parts = path.split(' ');
  let sum = one(parts[0]);
  for (let i = 1; i < parts.length && sum !== null; i += 2) {
    const next = one(parts[i + 1]);
    sum = next === null ? null : parts[i] === '+' ? sum + next : sum - next;
  }
  return sum;
}

// A number (or a word) of the snapshot, with where it is from.
export function fact(path, as = 'count', { unit = '', cls = '', before = '' } = {}) {
  const raw = find(path);
  const shown = words(as, raw, unit);
  const marks = { 'data-path': path, 'data-value': raw, 'data-as': as, 'data-unit': unit || null };
  if (raw === null) marks['data-value'] = 'null';
  if (as === 'time' && raw !== null) return h('time', { ...marks, class: cls || null, datetime: moment(raw), title: moment(raw) }, before + shown);
  return h('span', { ...marks, class: `n ${raw === null ? 'none' : ''} ${cls}`.trim() }, before + shown);
}

export const sum = (name, rows, key) => rows.map((row) => `${name}.${row.i}.${key}`).join(' + ');

// Rows with their place in the snapshot.
export const rows = (name, wanted = () => true) => list(name).map((row, i) => ({ ...row, i })).filter(wanted);

const SHAPES = {
  good: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z',
  bad: 'M8 1.5 15.2 14.2H.8z',
  warn: 'M8 .8 15.2 8 8 15.2.8 8z',
  wait: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2v8a4 4 0 0 1 0-8z',
  asleep: 'M6 1.8A6.4 6.4 0 1 0 14.4 10 5.6 5.6 0 0 1 6 1.8z',
  off: 'M2.5 2.5h11v11h-11zm2 2v7h7v-7z',
  unknown: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z',
};

// Shape and colour, always beside words that say the same.
export function mark(tone) {
  return h('svg', { class: `mark ${tone}`, viewBox: '0 0 16 16', 'aria-hidden': 'true' }, h('path', { d: SHAPES[tone], 'fill-rule': 'evenodd' }));
}

const TONES = [
  [/^unknown|^ready, route unknown/, 'unknown'],
  [/^ready, not routed|^starting again|^stalled/, 'warn'],
  [/^(ready|running|idle|busy|seen|up|good|done)$/, 'good'],
  [/^(loading|draining|waking|working|waiting)/, 'wait'],
  [/^(asleep|sleeping|parked|suspended)/, 'asleep'],
  [/^(stopped|not rented|none)/, 'off'],
];
export const tone = (state) => TONES.find(([pattern]) => pattern.test(state ?? 'unknown'))?.[1] ?? 'bad';

export function standing(state, path = '', how = tone(state)) {
  const said = path ? { 'data-path': path, 'data-value': state, 'data-as': 'text' } : {};
  return h('span', { class: `state ${how}` }, mark(how), h('span', said, state ?? 'unknown'));
}

// Put to sleep on purpose: who decides about idling knows, where its container only looks stopped.
const sleeps = (row) => list('idle').some((one) => one.kind === 'replica' && one.name === row.id && one.state === 'asleep');
const parked = (name) => list('hosts').some((one) => one.name === name && one.parked) || list('slots').some((one) => one.slot === name && one.state === 'parked');
export function stateOfReplica(row) {
  if (['ready', 'waking'].includes(row.state)) return row.state;
  if (sleeps(row)) return 'asleep';
  return parked(row.host) ? 'parked' : row.state;
}

// What a model is in: its own word where the snapshot has one, else that of its replicas.
export function stateOf(model) {
  if (model.state) return [model.state, tone(model.state)];
  const own = list('replicas').filter((row) => row.model === model.name).map(stateOfReplica);
  if (!own.length) return ['no replica', 'off'];
  if (model.ready === own.length) return ['ready', 'good'];
  const resting = own.filter((state) => tone(state) === 'asleep').length;
  if (model.ready && model.ready + resting === own.length) return [`ready, ${resting} asleep`, 'good'];
  if (model.ready) return [`${model.ready} of ${own.length} ready`, 'warn'];
  const worst = ['bad', 'warn', 'off', 'unknown', 'wait', 'asleep'].find((how) => own.some((state) => tone(state) === how));
  const state = own.find((word) => tone(word) === worst) ?? own[0];
  return [state, tone(state)];
}

const serves = (model) => model.ready > 0 || ['asleep', 'wait'].includes(stateOf(model)[1]);

// What wants a person, worst first: {tone, text, next, path}.
export function troubles() {
  const found = [];
  const add = (how, text, next = null) => found.push({ tone: how, text, next });
  const away = list('replicas').filter((row) => row.event?.wrong).map((row) => row.id); // said below, or by their host
  for (const host of list('hosts')) {
    if (host.reached || host.parked || host.error_kind === 'absent') continue;
    const there = list('replicas').filter((row) => row.host === host.name).map((row) => row.id);
    away.push(...there);
    add(host.error_kind === 'unknown' ? 'unknown' : 'bad', `${host.name} does not answer: ${host.error}${there.length ? `; it has ${there.join(', ')}` : ''}`, host.next || 'hostler doctor');
  }
  if (snapshot.gateway && snapshot.gateway !== 'running') add(snapshot.gateway === 'unknown' ? 'unknown' : 'bad', `The gateway is ${snapshot.gateway}`, snapshot.gateway === 'unknown' ? 'hostler doctor' : 'hostler up');
  for (const model of list('models')) {
    const [state, how] = stateOf(model);
    const wrong = list('replicas').filter((row) => row.model === model.name && !['ready', 'asleep', 'parked'].includes(stateOfReplica(row)));
    const first = wrong.find((row) => !away.includes(row.id));
    if (wrong.length && !first) continue;
    if (!serves(model)) add(how === 'unknown' ? how : 'bad', `${model.name} does not answer: ${state}`, first ? `hostler logs ${first.id}` : 'hostler up');
    else if (first && how !== 'wait') add('warn', `${model.name} has ${model.ready} of ${model.replicas} replicas ready: ${first.id} ${first.state}`, `hostler logs ${first.id}`);
  }
  for (const row of list('replicas')) {
    if (row.event?.wrong) add('bad', `${row.id} on ${row.host}: ${row.event.what}`, `hostler logs ${row.id}; then hostler up`);
  }
  for (const card of list('cards')) {
    if (card.state === 'missing') add('bad', `A card is missing on ${card.host}: ${short(card.name)}`, 'hostler doctor');
  }
  for (const row of list('warnings')) if (row.level === 'warning') add('warn', `${row.host}: ${row.text}`, 'hostler doctor');
  const updates = snapshot.updates;
  if (updates?.state === 'halted') add('warn', `Updates are halted: ${updates.text}`, 'hostler update --go-on');
  if (updates?.state === 'silent') add('warn', 'The controller of the updates is silent', 'hostler logs controller');
  for (const stray of snapshot.strays?.things ?? []) {
    add('bad', `A stray costs money: ${stray.kind} ${stray.id} in ${stray.region}, ${stray.usd_h === null ? 'at an unknown price' : `${stray.usd_h} USD an hour`}`, 'hostler doctor --remove-strays');
  }
  if (snapshot.strays?.known === false) add('unknown', `Whether there are strays is unknown: ${snapshot.strays.error}`, snapshot.strays.next);
  for (const one of snapshot.money?.budgets ?? []) {
    if (one.text) add(one.refused_until || one.state === 'hold' || one.state === 'stop' ? 'bad' : 'warn', `Budget of ${one.key ? `key ${one.key}` : 'the stack'}: ${one.text}`, one.refused_until ? 'hostler cost --by key' : 'hostler cost');
  }
  if (snapshot.under_way) add('wait', `A change is under way: release ${snapshot.under_way.release}, ${snapshot.under_way.stage}, by ${snapshot.under_way.who || 'somebody unknown'}`, 'hostler rollout status');
  const order = ['bad', 'unknown', 'warn', 'wait'];
  return found.sort((a, b) => order.indexOf(a.tone) - order.indexOf(b.tone));
}

const named = (names) => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`);

// [tone, headline, the line below it]
export function verdict(found) {
  const models = list('models');
  const silent = models.filter((model) => !serves(model)).map((model) => model.name);
  const resting = models.filter((model) => !model.ready && stateOf(model)[1] === 'asleep');
  const asleep = resting.filter((model) => stateOf(model)[0] === 'asleep').map((model) => model.name);
  const away = resting.filter((model) => stateOf(model)[0] !== 'asleep').map((model) => model.name);
  const up = models.filter((model) => model.ready > 0).map((model) => model.name);
  const lines = [models.some((model) => !model.ready) && up.length ? `${named(up)} ${up.length === 1 ? 'answers' : 'answer'}.` : '',
    asleep.length ? `${named(asleep)} ${asleep.length === 1 ? 'sleeps and wakes' : 'sleep and wake'} when asked.` : '',
    away.length ? `${named(away)} ${away.length === 1 ? 'has no machine: it is' : 'have no machine: they are'} parked.` : ''];
  const rest = lines.filter(Boolean).join(' ');
  const wants = found.filter((row) => row.tone !== 'wait').length;
  const worst = found.find((row) => row.tone !== 'wait')?.tone ?? 'good';
  if (snapshot.gateway && snapshot.gateway !== 'running') return [worst, snapshot.gateway === 'unknown' ? 'No word from the gateway' : `The gateway is ${snapshot.gateway}`, rest];
  const dark = models.filter((model) => !serves(model) && stateOf(model)[1] === 'unknown').map((model) => model.name);
  const mute = silent.filter((name) => !dark.includes(name));
  if (mute.length) return [worst, mute.length === models.length ? 'No model answers' : `${named(mute)} ${mute.length === 1 ? 'does' : 'do'} not answer`, rest];
  const waits = models.filter((model) => !model.ready && stateOf(model)[1] === 'wait');
  if (waits.length && !dark.length) return [worst === 'good' ? 'wait' : worst, `${named(waits.map((model) => model.name))} ${waits.length === 1 ? 'is' : 'are'} ${stateOf(waits[0])[0]}`, rest];
  if (dark.length) return [worst === 'good' ? 'unknown' : worst, `No word from ${named(dark)}`, rest];
  const head = models.length ? 'Every model answers' : 'No model is up';
  if (!wants) return [models.length ? 'good' : 'unknown', head, rest];
  return [worst, `${head}, ${many(wants, 'thing')} to look at`, rest];
}

// All of them are NVIDIA's here.
export const short = (name) => name.replace(/^NVIDIA (GeForce )?/, '');
