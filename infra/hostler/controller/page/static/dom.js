// Elements from values, and a page that becomes another one without losing focus, selection or what is folded open.
// Data become text nodes and attributes only; the policy of the page forbids everything else.

const SVG = 'http://www.w3.org/2000/svg';
const DRAWN = new Set(['svg', 'path', 'rect', 'title']);

export function h(tag, attributes, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Makes `there` hold what `wanted` lists; what is alike stays.
export function become(there, wanted) {
  const keyed = new Map([...there.children].filter((one) => one.dataset?.key).map((one) => [one.dataset.key, one]));
  let place = there.firstChild;
  for (const one of wanted) {
    const same = keyed.get(one.dataset?.key) ?? (place && alike(place, one) ? place : null);
    if (same) {
      if (same === place) place = place.nextSibling;
      else there.insertBefore(same, place);
      patch(same, one);
    } else {
      there.insertBefore(typeof one === 'string' ? document.createTextNode(one) : one, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function alike(one, other) {
  return one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
}

function patch(there, wanted) {
  if (there.nodeType !== Node.ELEMENT_NODE) {
    if (there.data !== wanted.data) there.data = wanted.data;
    return;
  }
  for (const { name } of [...there.attributes]) {
    if (!wanted.hasAttribute(name) && name !== 'open') there.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  }
  become(there, [...wanted.childNodes]);
}
