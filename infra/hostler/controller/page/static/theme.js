// Before anything is drawn, so that nothing flashes: auto follows the system, light and dark are kept in this browser.
'use strict';
(() => {
  const order = ['auto', 'light', 'dark'];
  const kept = () => { try { return localStorage.getItem('hostler-theme'); } catch { return null; } };
  let theme = order.includes(kept()) ? kept() : 'auto';
  const show = () => {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById('theme');
    if (button) button.textContent = `Theme: ${theme}`;
  };
  show();
  document.addEventListener('DOMContentLoaded', () => {
    show();
    document.getElementById('theme').addEventListener('click', () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try { localStorage.setItem('hostler-theme', theme); } catch { /* for this visit only */ }
      show();
    });
  });
})();
