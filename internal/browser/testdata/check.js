// What a page must be for everybody, after WCAG 2.2 AA, as far as a program can
// tell. Yields a list of what is wrong. What a package's readme says is its
// author's: its headings, labels and tables are not ours to judge.
(() => {
  const wrong = [];
  const say = (what, el) => wrong.push(what + (el ? ': ' + el.outerHTML.replace(/\s+/g, ' ').slice(0, 140) : ''));
  const all = s => [...document.querySelectorAll(s)];
  const seen = el => el.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true}) && el.getClientRects().length > 0;
  const words = el => (el.innerText || el.textContent || '').trim();
  const named = el => el.getAttribute('aria-label')?.trim() || (el.getAttribute('aria-labelledby') || '').split(/\s+/).map(id => document.getElementById(id)?.textContent ?? '').join('').trim();

  // Structure.
  if (!document.documentElement.lang) say('the page has no language');
  if (!document.title.trim()) say('the page has no title');
  for (const [s, n] of [['main', 1], ['main h1', 1], ['h1', 1], ['body > header', 1], ['body > footer', 1]]) if (all(s).length !== n) say(`${all(s).length} of ${s}; want ${n}`);
  for (const s of ['nav', 'aside', 'section[role]']) { const of = all(s); if (of.length > 1 && of.some(e => !named(e))) say(`one of several ${s} has no name`, of.find(e => !named(e))); }
  const skip = document.querySelector('a[href="#main"]');
  if (!skip || !document.getElementById('main')) say('there is no link to skip to the content');
  let level = 0;
  for (const h of all('h1,h2,h3,h4,h5,h6')) {
    if (h.closest('.readme') || !seen(h)) continue; // what a package says is its own
    const n = +h.tagName[1];
    if (level && n > level + 1) say(`a heading of level ${n} follows one of ${level}`, h);
    level = n;
    if (!words(h)) say('an empty heading', h);
  }
  const ids = new Map();
  for (const e of all('[id]')) ids.set(e.id, (ids.get(e.id) || 0) + 1);
  for (const [id, n] of ids) if (n > 1) say(`the id ${id} is there ${n} times`);
  for (const e of all('[aria-describedby],[aria-labelledby]')) for (const a of ['aria-describedby', 'aria-labelledby']) for (const id of (e.getAttribute(a) || '').split(/\s+/).filter(Boolean)) if (!document.getElementById(id)) say(`${a} names nothing`, e);

  // Names and roles.
  for (const i of all('img')) if (!i.hasAttribute('alt')) say('an image without alt', i);
  for (const c of all('input:not([type=hidden]),select,textarea')) {
    const label = named(c) || [...c.labels].map(l => l.textContent.trim()).join('');
    if (!label && !c.closest('.readme')) say('a field without a label', c);
  }
  for (const b of all('button,a[href],summary')) if (!(words(b) || b.textContent.trim() || named(b) || b.querySelector('img[alt]:not([alt=""])'))) say('nothing says what this does', b);
  for (const th of all('table th')) if (!th.scope && !th.closest('.readme')) say('a header cell without scope', th);
  for (const t of all('main table')) if (!t.closest('.readme') && !t.querySelector('th')) say('a table without header cells', t);
  for (const e of all('[tabindex]')) if (e.tabIndex > 0) say('a tabindex above 0', e);
  for (const e of all('[aria-hidden=true]')) if (e.querySelector('a,button,input,select,textarea') || e.matches('a,button,input')) say('something hidden takes the focus', e);

  // Size and place.
  const view = document.documentElement.clientWidth;
  if (document.scrollingElement.scrollWidth > view) {
    const wide = all('body *').filter(e => seen(e) && e.getBoundingClientRect().right > view + 1 && ![...function* (n) { for (n = n.parentElement; n; n = n.parentElement) yield n }(e)].some(p => p !== document.body && getComputedStyle(p).overflowX !== 'visible')).pop();
    say(`the page is ${document.scrollingElement.scrollWidth} wide in a window of ${view}`, wide);
  }
  for (const b of all('button,select,input:not([type=hidden]),textarea,summary,nav a,a.button')) {
    if (!seen(b) || b.closest('.readme,.sr')) continue;
    const r = (b.type === 'checkbox' || b.type === 'radio' ? b.closest('label') ?? b : b).getBoundingClientRect();
    if (r.width < 24 || r.height < 24) say(`a target of ${Math.round(r.width)} x ${Math.round(r.height)}; want 24 x 24`, b);
  }
  for (const e of all('main *')) {
    const s = getComputedStyle(e);
    if ((s.overflowX === 'auto' || s.overflowX === 'scroll') && e.scrollWidth > e.clientWidth + 1 && seen(e) && e.tabIndex < 0 && !e.closest('.readme') && !e.querySelector('a[href],button,input,select,textarea,summary')) say('what scrolls cannot be scrolled by keyboard', e);
    if (s.overflowX === 'hidden' && s.textOverflow !== 'ellipsis' && e.scrollWidth > e.clientWidth + 2 && words(e) && seen(e) && s.clipPath === 'none' && s.display !== '-webkit-box') say('something is cut off', e);
  }

  // Contrast of every piece of text with what is behind it.
  const rgba = c => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m[3] ?? 1}; };
  const over = (f, b) => ({r: f.r * f.a + b.r * (1 - f.a), g: f.g * f.a + b.g * (1 - f.a), b: f.b * f.a + b.b * (1 - f.a), a: 1});
  const light = c => { const l = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * l(c.r) + .7152 * l(c.g) + .0722 * l(c.b); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const behind = el => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c.a) layers.push(c); if (c.a === 1) break; }
    return layers.reverse().reduce((b, f) => over(f, b), rgba(getComputedStyle(document.body).backgroundColor));
  };
  const check = (el, colour, what) => {
    const s = getComputedStyle(el), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && +s.fontWeight >= 700;
    const bg = behind(el), r = ratio(over(rgba(colour), bg), bg);
    if (r < (large ? 3 : 4.5) - .005) say(`contrast of ${what} is ${r.toFixed(2)} (${colour} on ${Object.values(bg).slice(0, 3).map(Math.round)})`, el);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const el = n.parentElement;
    if (!n.data.trim() || !seen(el) || el.closest('.sr,.skip:not(:focus),[disabled]')) continue;
    check(el, getComputedStyle(el).color, JSON.stringify(n.data.trim().slice(0, 30)));
  }
  for (const el of all('input[placeholder],textarea[placeholder]')) if (seen(el)) check(el, getComputedStyle(el, '::placeholder').color, 'a placeholder');
  for (const el of all('input:not([type=hidden]):not([type=checkbox]),select,textarea')) {
    if (!seen(el)) continue; // the edge of a field tells where it is
    const s = getComputedStyle(el), bg = behind(el.parentElement), r = Math.max(ratio(rgba(s.borderTopColor), bg), ratio(behind(el), bg));
    if (r < 3 - .005) say(`the edge of a field has a contrast of ${r.toFixed(2)}; want 3`, el);
  }
  return [...new Set(wrong)];
})()
