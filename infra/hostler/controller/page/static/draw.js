// The whole page from one snapshot.

import { become, h } from './dom.js';
import { data, fact, hold, list, mark, rows, short, standing, stateOf, stateOfReplica, sum, tone, troubles, verdict } from './facts.js';
import { cards } from './cards.js';
import { cell, command, empty, section, table } from './parts.js';

const at = (id) => document.getElementById(id);

export function draw(snapshot) {
  hold(snapshot);
  const found = troubles();
  const [how, head, rest] = verdict(found);
  document.body.dataset.tone = how;
  document.title = `${how === 'good' ? '' : '! '}${head} · ${snapshot.stack ?? 'Hostler'}`;
  become(at('whose'), [h('b', {}, snapshot.stack ?? 'no stack'), h('span', { class: 'quiet' }, 'release ', fact('release'), ' · gateway ', fact('gateway', 'text'))]);
  become(at('verdict'), [h('h1', {}, mark(how), h('span', {}, head)), h('p', {}, rest)]);
  become(at('gauges'), gauges());
  become(at('main'), [attention(found), models(), cards(), hosts(), idle(), money(), changes(), errors()].filter(Boolean));
  become(at('foot'), [h('span', {}, 'The same data: ', h('code', {}, 'hostler status --json'), ', ', h('a', { href: '/hostler/status.json' }, 'status.json')), h('span', {}, h('a', { href: '/hostler/metrics' }, 'metrics'), ', ', h('a', { href: '/hostler/grafana.json' }, 'Grafana dashboard'))]);
}

function gauges() {
  const every = rows('models');
  const gauge = (name, ...value) => h('div', {}, h('dt', {}, name), h('dd', {}, ...value));
  return [
    gauge('replicas ready', every.length ? fact(sum('models', every, 'ready')) : 'none', every.length ? [' of ', fact(sum('models', every, 'replicas'))] : null),
    gauge('running', ...whole('running')),
    gauge('waiting', ...whole('waiting')),
    gauge('speed', ...together('models', every.filter((row) => !resting(stateOf(row)[1])), 'tokens_per_s', 'rate')),
    data().money ? gauge('today', ...figure('today')) : null,
  ].filter(Boolean);
}

const resting = (how) => ['asleep', 'off'].includes(how);

// The sum of what is known, and of how many it is not: unknown is no 0, and hides no other number.
function together(name, all, key, as) {
  const known = all.filter((row) => row[key] !== null && row[key] !== undefined);
  const lacking = all.length - known.length;
  if (!known.length) return [all.length ? fact(sum(name, all, key), as) : 'none'];
  return [fact(sum(name, known, key), as), lacking ? h('small', {}, `and ${lacking} unknown`) : null];
}

const whole = (key) => together('replicas', rows('replicas', (row) => row[key] !== null || !resting(tone(stateOfReplica(row)))), key, 'count');

function attention(found) {
  if (!found.length) return null;
  const items = found.map((row) => h('li', { class: row.tone }, mark(row.tone), h('div', {}, h('p', {}, row.text), command(row.next))));
  return section('attention', 'What to do', h('ul', { class: 'todo' }, ...items));
}

const MODEL = ['Model', 'State', 'Speed', 'First token, p95', 'Running', 'Waiting', 'Context'];

function models() {
  const bodies = rows('models').map(modelRows);
  return section('models', 'Models', bodies.length ? table('models', MODEL, bodies) : empty('No model is up: hostler up'));
}

// A model with one replica is one row; more of them have a row each below their sum.
function modelRows(model) {
  const own = rows('replicas', (row) => row.model === model.name);
  return own.length === 1 ? [modelRow(model, own)] : [modelRow(model, own), ...own.map(replicaRow)];
}

const BLANK = () => cell('td', '', '');

function modelRow(model, own) {
  const path = `models.${model.i}`;
  const [state, how] = stateOf(model);
  const alone = own.length === 1 ? own[0] : null;
  const from = model.state ? `${path}.state` : alone?.state === state ? `replicas.${alone.i}.state` : '';
  const value = (key, as) => fact(`${path}.${key}`, as);
  const all = (key) => (model[key] !== undefined ? [value(key)] : together('replicas', own, key));
  const contexts = own.filter((row, i) => own.findIndex((other) => (other.context ?? null) === (row.context ?? null)) === i);
  const context = model.context !== undefined ? [value('context', 'tokens')] : contexts.map((row) => fact(`replicas.${row.i}.context`, 'tokens'));
  const known = (key) => (model[key] ? h('small', {}, fact(`${path}.${key}`, 'text')) : null);
  const release = model.release !== undefined ? fact(`${path}.release`, 'text') : fact('release');
  const idle = resting(how) && !model.running && !model.waiting;
  return h('tr', { role: 'row', class: 'lead' },
    cell('th', 'Model', h('b', { class: 'name' }, model.name), h('small', {}, fact(`${path}.ready`), ' of ', fact(`${path}.replicas`), ' ready, release ', release), alone ? h('small', {}, `${alone.id} on `, ...where(alone)) : null),
    cell('td', 'State', standing(state, from, how), alone ? event(alone) : null),
    ...(idle ? [BLANK(), BLANK(), BLANK(), BLANK(), BLANK()] : [
      cell('td', 'Speed', value('tokens_per_s', 'rate'), known('tokens_how')),
      cell('td', 'First token, p95', value('first_token_p95_s', 'latency'), known('first_token_how')),
      cell('td', 'Running', ...all('running')),
      cell('td', 'Waiting', ...all('waiting')),
      cell('td', 'Context', ...(context.length ? context : ['unknown']))]));
}

function replicaRow(row) {
  const path = `replicas.${row.i}`;
  const state = stateOfReplica(row);
  const idle = resting(tone(state)) && !row.running && !row.waiting;
  return h('tr', { role: 'row', class: 'sub', 'data-key': row.id },
    cell('th', 'Replica', h('span', { class: 'name' }, row.id), h('small', {}, ...where(row))),
    cell('td', 'State', standing(state, state === row.state ? `${path}.state` : ''), event(row)),
    BLANK(), BLANK(),
    ...(idle ? [BLANK(), BLANK(), BLANK()] : [
      cell('td', 'Running', fact(`${path}.running`)),
      cell('td', 'Waiting', fact(`${path}.waiting`)),
      cell('td', 'Context', fact(`${path}.context`, 'tokens'))]));
}

function where(row) {
  const found = list('cards').filter((card) => row.cards.includes(card.uuid) && card.host === row.host);
  const names = found.map((card) => card.index ?? short(card.name));
  const place = names.length ? `${row.host}, ${names.length === 1 ? 'card' : 'cards'} ${names.join(' and ')}` : row.host;
  return [place, ...(row.age_s === null ? [', not seen'] : [', ', h('span', { class: 'together' }, 'seen ', fact(`replicas.${row.i}.age_s`, 'age'), ' ago')])];
}

function event(row) {
  if (!row.event) return null;
  const ago = row.event.age_s === null ? null : [', ', fact(`replicas.${row.i}.event.age_s`, 'age'), ' ago'];
  return h('small', { class: row.event.wrong ? 'wrong' : null }, row.event.what, ago);
}

function hosts() {
  const bodies = rows('hosts').map((row) => {
    const path = `hosts.${row.i}`;
    const slot = rows('slots', (one) => one.slot === row.name)[0];
    const state = row.reached ? 'up' : row.parked ? 'parked' : row.error_kind === 'absent' ? 'not rented' : row.error_kind === 'unknown' ? 'unknown' : 'no answer';
    return [h('tr', { role: 'row', class: 'lead' },
      cell('th', 'Host', h('b', { class: 'name' }, row.name), h('small', {}, row.pool)),
      cell('td', 'State', slot && !row.reached ? standing(slot.state, `slots.${slot.i}.state`) : standing(state)),
      ...(row.os === undefined && (row.parked || row.error_kind === 'absent') ? [BLANK(), BLANK(), BLANK()] : [
        cell('td', 'System', fact(`${path}.os`, 'text'), h('small', {}, 'driver ', fact(`${path}.driver`, 'text'))),
        cell('td', 'Disk free', fact(`${path}.disk_free`, 'bytes')),
        cell('td', 'Seen', row.age_s === null ? 'not seen' : [fact(`${path}.age_s`, 'age'), ' ago'])]))];
  });
  for (const [i, slot] of list('slots').entries()) {
    if (list('hosts').some((host) => host.name === slot.slot)) continue;
    bodies.push([h('tr', { role: 'row', class: 'lead' },
      cell('th', 'Slot', h('b', { class: 'name' }, slot.slot ?? slot.pool), h('small', {}, `slot of ${slot.pool}`)),
      cell('td', 'State', standing(slot.state, `slots.${i}.state`)), BLANK(), BLANK(), BLANK())]);
  }
  return section('hosts', 'Hosts', bodies.length ? table('hosts', ['Host', 'State', 'System', 'Disk free', 'Seen'], bodies) : empty('No host is known'));
}

function idle() {
  const bodies = rows('idle').map((row) => {
    const path = `idle.${row.i}`;
    const for_s = row.since_s === null ? null : h('small', {}, 'for ', fact(`${path}.since_s`, 'age'));
    const in_s = row.in_s === null ? null : h('b', {}, 'in ', fact(`${path}.in_s`, 'left'));
    return [h('tr', { role: 'row', class: 'lead' },
      cell('th', 'What', h('b', { class: 'name' }, row.name), h('small', {}, row.kind === 'host' ? 'host' : `replica of ${row.model} on ${row.host}`)),
      cell('td', 'State', standing(row.state, `${path}.state`, row.state === 'idle' ? 'wait' : tone(row.state)), for_s),
      cell('td', 'Why', row.evidence ? fact(`${path}.evidence`, 'text') : 'unknown'),
      cell('td', 'Then', fact(`${path}.will`, 'text'), in_s),
      row.saves === null ? BLANK() : cell('td', 'Saves', fact(`${path}.saves`, 'text')))];
  });
  return section('idle', 'Idle', bodies.length ? table('idle', ['What', 'State', 'Why', 'Then', 'Saves'], bodies) : empty('Nothing is looked at: no pool or model has idle:'));
}

// An amount as hostler.money reports it: what has no known price is not in it, and that is said.
function figure(key) {
  const one = data().money[key];
  if (!one) return [h('span', { class: 'none' }, 'unknown')];
  const path = `money.${key}.amount`;
  if (one.whole) return [fact(path, 'money', { unit: one.currency })];
  return one.amount ? [h('small', { class: 'least' }, 'at least '), fact(path, 'money', { unit: one.currency })] : [h('span', { class: 'none' }, 'unknown')];
}

function money() {
  const found = data().money;
  if (!found) return section('money', 'Money', empty('Unknown: nothing is counted yet'));
  const entry = (name, ...what) => h('div', {}, h('dt', {}, name), h('dd', {}, ...what));
  const { budget: most, so_far: spent } = found;
  const parts = spent ? h('small', {}, fact('money.so_far.measured', 'money', { unit: spent.currency }), ' measured, ', fact('money.so_far.estimated', 'money', { unit: spent.currency }), ' estimated') : null;
  const notes = (found.notes ?? []).map((_, i) => h('li', {}, mark('unknown'), fact(`money.notes.${i}`, 'text')));
  return section('money', 'Money',
    h('dl', { class: 'facts' },
      entry('today', ...figure('today')),
      entry('this month', ...figure('so_far'), parts),
      entry('by the end of the month', ...figure('projection')),
      entry('budget of a month', ...(most ? [fact('money.budget.amount', 'money', { unit: most.currency }), spent ? h('small', {}, `${Math.round((100 * spent.amount) / most.amount)}% spent`) : null] : ['none'])),
      ...(found.budgets ?? []).flatMap((one, i) => (one.refused_until ? [entry(`key ${one.key}`, mark('bad'), 'refused until ', fact(`money.budgets.${i}.refused_until`, 'time'))] : [])),
      entry('saved this month', ...figure('saved')),
      found.shadow?.amount ? entry('shadow would have saved', ...figure('shadow')) : null),
    most && spent ? budget(spent.amount, found.projection?.amount, most.amount) : null,
    notes.length ? h('ul', { class: 'gaps' }, ...notes) : null);
}

function budget(spent, end, most) {
  const part = (value) => Math.max(0, Math.min(100, (100 * (value ?? 0)) / most)).toFixed(1);
  const how = spent > most ? 'bad' : end > most ? 'warn' : 'good';
  return h('svg', { class: `bar ${how}`, viewBox: '0 0 100 4', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${Math.round(part(spent))}% of the budget is spent` },
    h('rect', { class: 'back', width: 100, height: 4 }), h('rect', { class: 'ahead', width: part(end), height: 4 }), h('rect', { class: 'front', width: part(spent), height: 4 }));
}

function changes() {
  const change = data().last_change;
  const window = data().next_window;
  const updates = data().updates;
  const entry = (name, ...what) => h('div', {}, h('dt', {}, name), h('dd', {}, ...what));
  return section('changes', 'Changes', h('dl', { class: 'facts wide' },
    entry('last change', change ? [fact('last_change.what', 'text'), h('small', {}, 'release ', fact('last_change.release'), ', by ', fact('last_change.who', 'text'), ', ', fact('last_change.at', 'time'))] : 'unknown'),
    entry('how it ended', change ? [standing(change.ended ?? 'unknown', 'last_change.ended'), change.why ? h('small', {}, fact('last_change.why', 'text')) : null] : 'unknown'),
    entry('next window', window ? [typeof window === 'object' ? fact('next_window.opens', 'time') : fact('next_window', typeof window === 'number' ? 'time' : 'text'), window.text ? h('small', {}, fact('next_window.text', 'text')) : null] : 'none'),
    entry('updates', updates ? [standing(updates.state, 'updates.state', updates.state === 'halted' || updates.state === 'silent' ? 'warn' : tone(updates.state)), h('small', {}, fact('updates.text', 'text'))] : 'taken by hand')));
}

function errors() {
  const items = rows('errors').map((row) => h('li', {}, h('div', {}, h('p', {}, fact(`errors.${row.i}.text`, 'text'), h('small', {}, fact(`errors.${row.i}.at`, 'time'))), command(row.next))));
  return section('errors', 'Last errors', items.length ? h('ol', { class: 'log' }, ...items) : empty('None'));
}
