// The stream of snapshots, whether it still flows, and what ticks between two of them.

import { draw } from './draw.js';
import { find } from './facts.js';
import { lasted, words } from './words.js';

const SILENT_S = 40; // the controller says something each 15 s
const OLD_S = 60; // a snapshot that nobody renewed
const AGAIN_MS = 3000;

let stream = null;
let heard = Date.now(); // when anything came
let opened = 0;
let ahead = 0; // seconds by which this clock is ahead of the controller's
let seen = null; // when the snapshot was made, by the controller's clock
let last = '';

const at = (id) => document.getElementById(id);
const now = () => Date.now() / 1000 - ahead;

function open() {
  stream?.close();
  opened = Date.now();
  stream = new EventSource('/hostler/events');
  stream.addEventListener('beat', (event) => {
    heard = Date.now();
    ahead = heard / 1000 - Number(event.data);
    tick();
  });
  stream.addEventListener('snapshot', (event) => {
    heard = Date.now();
    if (event.data !== last) show(event.data);
    tick();
  });
  stream.addEventListener('error', tick);
}

function show(text) {
  const snapshot = JSON.parse(text);
  last = text;
  seen = snapshot.at ?? now();
  try {
    draw(snapshot);
  } catch (error) {
    at('verdict').textContent = 'This page could not be drawn: hostler status has what it should say';
    throw error;
  }
}

function state() {
  if (stream.readyState === EventSource.OPEN && Date.now() - heard < SILENT_S * 1000) {
    if (seen === null) return ['waiting', 'waiting for a first look'];
    return now() - seen > OLD_S ? ['old', 'old data'] : ['live', 'live'];
  }
  return seen === null && stream.readyState === EventSource.CONNECTING ? ['connecting', 'connecting'] : ['lost', 'connection lost'];
}

// Ages grow and times left shrink by the second; data-value stays what the snapshot says.
function tick() {
  const [how, text] = state();
  at('link').dataset.state = how;
  document.body.dataset.link = how;
  if (at('link-state').textContent !== text) at('link-state').textContent = text;
  const since = seen === null ? null : Math.max(0, now() - seen);
  at('link-age').textContent = since === null ? '' : `last seen ${lasted(since)} ago`;
  for (const one of document.querySelectorAll('[data-as=age], [data-as=left]')) {
    const raw = find(one.dataset.path);
    if (raw === null || since === null) continue;
    const shown = words('age', one.dataset.as === 'age' ? raw + since : Math.max(0, raw - since));
    if (one.textContent !== shown) one.firstChild.data = shown;
  }
}

// EventSource gives up where the answer is no stream (the gateway restarts, a key was taken away): we do not.
const silent = () => Date.now() - Math.max(heard, opened) > SILENT_S * 1000;
setInterval(() => { if (stream.readyState === EventSource.CLOSED || silent()) open(); }, AGAIN_MS);
setInterval(tick, 1000);
document.addEventListener('visibilitychange', () => { if (!document.hidden && silent()) open(); });

document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('.copy');
  if (!button) return;
  const done = await copied(button);
  at('said').textContent = done ? `Copied: ${button.dataset.copy}` : 'The command is selected: copy it with the keyboard';
  button.textContent = done ? 'Copied' : 'Selected';
  setTimeout(() => { button.textContent = 'Copy'; at('said').textContent = ''; }, 2500);
});

// Without TLS a browser has no clipboard for pages: the text is selected, and the old way tried.
async function copied(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    return true;
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector('code'));
    return document.execCommand('copy');
  }
}

open();
tick();
