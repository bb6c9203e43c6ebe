// What sections are made of.

import { h } from './dom.js';

export function section(id, title, ...content) {
  return h('section', { 'aria-labelledby': `${id}-title`, id, 'data-key': id }, h('h2', { id: `${id}-title` }, title), h('div', { class: 'content' }, ...content));
}

export const empty = (text) => h('p', { class: 'quiet' }, text);

// Roles are told because a narrow page lays rows out as blocks, and then browsers forget that it is a table.
export function table(name, heads, bodies) {
  return h('table', { class: `rows ${name}`, role: 'table', 'aria-labelledby': `${name}-title` },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...heads.map((head) => h('th', { role: 'columnheader', scope: 'col' }, head)))),
    ...bodies.map((lines) => h('tbody', { role: 'rowgroup' }, ...lines)));
}

export function cell(tag, label, ...content) {
  const blank = !label && content.every((one) => one === '');
  return h(tag, { role: tag === 'th' ? 'rowheader' : 'cell', scope: tag === 'th' ? 'row' : null, 'data-label': label || null, class: blank ? 'blank' : null }, h('div', {}, ...content));
}

export function command(next) {
  if (!next) return null;
  return h('div', { class: 'command' }, h('code', {}, next), h('button', { type: 'button', class: 'copy', 'data-copy': next, 'aria-label': `Copy: ${next}` }, 'Copy'));
}
