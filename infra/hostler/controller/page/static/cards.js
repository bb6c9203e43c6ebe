// Cards: who has their memory, what they draw of what they may, how hot they are, and which are missing.

import { h } from './dom.js';
import { fact, rows, short, standing } from './facts.js';
import { cell, empty, section, table } from './parts.js';
import { words } from './words.js';

export function cards() {
  const bodies = rows('cards').map((card) => [cardRow(card)]);
  const seen = rows('cards', (card) => card.state === 'seen').length;
  const note = bodies.length ? h('p', { class: 'quiet' }, `${seen} seen of ${bodies.length} expected`) : null;
  return section('cards', 'Cards', bodies.length ? [note, table('cards', ['Card', 'State', 'Memory', 'Power', 'Heat', 'Use'], bodies)] : empty('No card is expected'));
}

function cardRow(card) {
  const path = `cards.${card.i}`;
  const name = h('b', { class: 'name', title: card.name }, short(card.name));
  const where = h('small', { title: card.uuid }, card.index === undefined ? card.host : `${card.host}, card ${card.index}`);
  if (card.state !== 'seen') {
    return h('tr', { role: 'row', class: 'lead gone', 'data-key': card.uuid },
      cell('th', 'Card', name, where), cell('td', 'State', standing(card.state, `${path}.state`, card.state === 'missing' ? 'bad' : 'unknown')),
      cell('td', 'Memory', fact(`${path}.memory_mib`, 'mib'), h('small', {}, 'expected')),
      cell('td', '', ''), cell('td', '', ''), cell('td', '', ''));
  }
  const warned = rows('warnings', (row) => row.card === card.uuid && row.host === card.host && row.level === 'warning')
    .map((row) => h('small', { class: 'alert' }, row.text.replace(/^card \d+ \(.*?\): /, '')));
  return h('tr', { role: 'row', class: 'lead', 'data-key': card.uuid },
    cell('th', 'Card', name, where),
    cell('td', 'State', standing(card.state, `${path}.state`, warned.length ? 'warn' : 'good'), ...warned),
    cell('td', 'Memory', memory(card, path)),
    cell('td', 'Power', fact(`${path}.power_w`, 'watts'), ' of ', fact(`${path}.power_limit_w`, 'watts'), meter(card.power_w, card.power_limit_w, 'power')),
    cell('td', 'Heat', fact(`${path}.temperature_c`, 'celsius')),
    cell('td', 'Use', fact(`${path}.utilization`, 'percent')));
}

function memory(card, path) {
  const all = rows('memory', (row) => row.card === card.uuid && row.host === card.host);
  const known = all.filter((row) => row.seen_mib !== null);
  const rest = [`${path}.used_mib`, ...known.map((row) => `memory.${row.i}.seen_mib`)].join(' - ');
  const owners = known.map((row, i) => h('li', { class: `who-${i % 4}` }, row.replica, ' ', fact(`memory.${row.i}.seen_mib`, 'mib')));
  const left = (card.used_mib ?? 0) - known.reduce((total, row) => total + row.seen_mib, 0);
  const whose = known.length === all.length ? 'other' : `${all.filter((row) => row.seen_mib === null).map((row) => row.replica).join(', ')} or other`;
  if (card.used_mib !== null && left > 0) owners.push(h('li', { class: 'who-other' }, whose, ' ', fact(rest, 'mib')));
  return [fact(`${path}.used_mib`, 'mib'), ' of ', fact(`${path}.memory_mib`, 'mib'), stack(card, known, left), h('ul', { class: 'who' }, ...owners)];
}

// Who takes how much, as one bar; the same numbers stand below it.
function stack(card, known, left) {
  if (card.used_mib === null) return null;
  const width = (mib) => (100 * mib) / card.memory_mib;
  let x = 0;
  const piece = (mib, cls) => {
    const made = h('rect', { x: x.toFixed(2), width: Math.max(0, width(mib) - 0.4).toFixed(2), height: 4, class: cls });
    x += width(mib);
    return made;
  };
  const label = `${words('mib', card.used_mib)} of ${words('mib', card.memory_mib)} are taken`;
  return h('svg', { class: 'bar', viewBox: '0 0 100 4', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    h('rect', { class: 'back', width: 100, height: 4 }),
    ...known.map((row, i) => piece(row.seen_mib, `who-${i % 4}`)), left > 0 ? piece(left, 'who-other') : null);
}

function meter(value, most, name) {
  if (value === null || !most) return null;
  const part = Math.min(100, (100 * value) / most);
  return h('svg', { class: 'bar thin', viewBox: '0 0 100 4', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${Math.round(part)}% of the ${name} limit` },
    h('rect', { class: 'back', width: 100, height: 4 }), h('rect', { class: 'front', width: part.toFixed(1), height: 4 }));
}
