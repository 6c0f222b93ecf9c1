// What script adds to pages that are whole without it: names while typing,
// results without a reload, keys, and buttons that copy.
const $ = (s, of = document) => of.querySelector(s)
const $$ = (s, of = document) => [...of.querySelectorAll(s)]
const make = (tag, props = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), props)
  e.append(...children)
  return e
}

// What is said to those who do not see it happen.
const said = make('div', {className: 'sr'})
said.setAttribute('role', 'status')
document.body.append(said)
const say = text => { said.textContent = ''; requestAnimationFrame(() => { said.textContent = text }) }

// later calls f once it has not been asked again for ms.
const later = (f, ms) => { let t; return (...a) => { clearTimeout(t); t = setTimeout(() => f(...a), ms) } }

// copying puts buttons beside what is there to be copied.
function copying(root) {
  const button = (text, name) => {
    const b = make('button', {type: 'button', className: 'copy', textContent: 'Copy'})
    b.setAttribute('aria-label', name)
    b.addEventListener('click', async () => {
      try { await navigator.clipboard.writeText(text()) } catch { say('Copying is not allowed here'); return }
      b.textContent = 'Copied'
      say('Copied')
      setTimeout(() => { b.textContent = 'Copy' }, 1600)
    })
    return b
  }
  for (const pre of $$('.install pre, .readme pre', root)) {
    if (pre.parentElement.matches('.copyable')) continue
    const box = make('div', {className: 'copyable'})
    pre.replaceWith(box)
    box.append(pre, button(() => pre.textContent.trimEnd(), 'Copy this'))
  }
  for (const t of $$('template[data-copy]', root)) t.replaceWith(button(() => t.dataset.copy, t.dataset.name || 'Copy'))
}

// names offers packages while somebody types: a combobox with a list.
function names(input) {
  const list = make('ul', {className: 'names', id: input.id + '-names', hidden: true})
  list.setAttribute('role', 'listbox')
  list.setAttribute('aria-label', 'Packages')
  input.closest('.box').append(list)
  for (const [k, v] of Object.entries({role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': list.id})) input.setAttribute(k, v)
  let at = -1, asked = null
  const choose = i => {
    at = i
    $$('li', list).forEach((li, n) => li.setAttribute('aria-selected', String(n === i)))
    const li = list.children[i]
    if (li) { input.setAttribute('aria-activedescendant', li.id); li.scrollIntoView({block: 'nearest'}) } else input.removeAttribute('aria-activedescendant')
  }
  const show = on => { list.hidden = !on; input.setAttribute('aria-expanded', String(on)); if (!on) choose(-1) }
  const ask = later(async () => {
    asked?.abort()
    const q = input.value.trim()
    if (!q || q.includes(':')) { show(false); return }
    asked = new AbortController()
    try {
      const r = await fetch('/api/v1/suggest?' + new URLSearchParams({q}), {signal: asked.signal, headers: {Accept: 'application/json'}})
      if (!r.ok || input.value.trim() !== q) return
      const {items} = await r.json()
      list.replaceChildren(...items.map((x, i) => {
        const li = make('li', {id: `${list.id}-${i}`}, make('b', {textContent: x.name}), make('span', {textContent: x.description}))
        li.setAttribute('role', 'option')
        li.dataset.to = '/packages/' + x.name.slice(1)
        return li
      }))
      show(items.length > 0 && document.activeElement === input)
      if (items.length) say(`${items.length} name${items.length === 1 ? '' : 's'}`)
    } catch (e) { if (e.name !== 'AbortError') show(false) }
  }, 60)
  input.addEventListener('input', ask)
  input.addEventListener('keydown', e => {
    const n = list.children.length
    if (e.key === 'Escape' && !list.hidden) { show(false); e.preventDefault(); return }
    if (list.hidden || e.isComposing) return
    if (e.key === 'ArrowDown') { choose(at + 1 >= n ? -1 : at + 1); e.preventDefault() }
    if (e.key === 'ArrowUp') { choose(at < 0 ? n - 1 : at - 1); e.preventDefault() }
    if (e.key === 'Enter' && at >= 0) { e.preventDefault(); location.href = list.children[at].dataset.to }
  })
  input.addEventListener('blur', () => show(false))
  list.addEventListener('pointerdown', e => e.preventDefault()) // the focus stays where one types
  list.addEventListener('click', e => { const li = e.target.closest('li'); if (li) location.href = li.dataset.to })
}

// live shows what a search finds while somebody types, filters and sorts. The
// address is always that of what is shown.
function live(input) {
  let asked = null, typing = false, shown = location.pathname + location.search
  const load = async (url, how, focus) => {
    asked?.abort()
    asked = new AbortController()
    const found = $('#found')
    found.classList.add('busy')
    try {
      const r = await fetch(url, {signal: asked.signal, headers: {Accept: 'text/html'}})
      const page = new DOMParser().parseFromString(await r.text(), 'text/html')
      const next = $('#found', page)
      if (!next) { location.href = url; return }
      const open = new Map($$('.facets details', found).map(d => [$('summary', d).textContent, d.open]))
      for (const d of $$('.facets details', next)) { const o = open.get($('summary', d).textContent); if (o !== undefined) d.open = o }
      found.replaceWith(document.adoptNode(next))
      document.title = page.title
      for (const h of $$('input[type=hidden]', input.form)) h.remove()
      for (const h of $$('form.find input[type=hidden]', page)) input.form.append(document.adoptNode(h))
      if (how === 'push') history.pushState(null, '', url)
      if (how === 'replace') history.replaceState(null, '', url)
      shown = location.pathname + location.search
      if (how === 'back') input.value = new URL(url, location).searchParams.get('q') ?? ''
      copying(next)
      const status = $('[role=status]', next)?.textContent
      if (status) say(status)
      if (focus) {
        const same = $$('a', next).find(a => a.textContent === focus)
        if (same) same.focus({preventScroll: true}); else { const h = $('#results', next); h.tabIndex = -1; h.focus({preventScroll: true}) }
      }
    } catch (e) {
      if (e.name !== 'AbortError') location.href = url
    } finally { $('#found')?.classList.remove('busy') }
  }
  const address = () => {
    const p = new URLSearchParams(new FormData(input.form))
    if (!p.get('q')) p.delete('q')
    p.sort()
    return '/search' + (p.size ? '?' + p : '')
  }
  // What is typed in one go is one step back.
  const settle = later(() => { typing = false }, 1500)
  const typed = later(() => { load(address(), typing ? 'replace' : 'push'); typing = true; settle() }, 90)
  input.addEventListener('input', e => { if (!e.isComposing) typed() })
  input.form.addEventListener('submit', e => { e.preventDefault(); typing = false; load(address(), address() === location.pathname + location.search ? '' : 'push') })
  document.addEventListener('click', e => {
    const a = e.target.closest('#found a')
    if (!a || a.origin !== location.origin || a.pathname !== '/search' || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return
    e.preventDefault()
    typing = false
    const url = a.pathname + a.search
    input.value = new URL(url, location).searchParams.get('q') ?? ''
    load(url, 'push', e.detail === 0 ? a.textContent : '').then(() => { if (a.closest('.pages')) scrollTo(0, 0) })
  })
  // Browsers call it going through the history, too, when only the fragment
  // changes: to the content, say, where the focus must stay.
  addEventListener('popstate', () => {
    const to = location.pathname + location.search
    if (to === shown) asked?.abort(); else load(to, 'back')
  })
  input.addEventListener('keydown', e => {
    if (e.key === 'ArrowDown') { const first = $('#found .card h3 a'); if (first) { first.focus(); e.preventDefault() } }
  })
  const end = input.value.length
  if (document.activeElement === input) input.setSelectionRange(end, end)
}

// keys are those that a page answers to, outside of fields.
const keys = [
  ['/', 'Search', () => { const q = $('input[type=search]'); q.focus(); q.select() }],
  ['↓ ↑', 'Next and previous package of a list', null],
  ['y', 'The address of exactly this version', () => { const l = $('link[rel=permalink]'); if (l) location.href = l.href }],
  ['t', 'Files of the package', () => { const a = $('.tabs [data-key=t]'); if (a) a.click() }],
  ['?', 'These keys', () => help()],
]
function help() {
  let d = $('dialog.keys')
  if (!d) {
    const close = make('button', {type: 'button', textContent: 'Close'})
    d = make('dialog', {className: 'keys'}, make('h2', {textContent: 'Keys', id: 'keys-title'}),
      make('dl', {}, ...keys.flatMap(([k, what]) => [make('dt', {}, ...k.split(' ').map(x => make('kbd', {textContent: x}))), make('dd', {textContent: what})])), close)
    d.setAttribute('aria-labelledby', 'keys-title')
    close.addEventListener('click', () => d.close())
    document.body.append(d)
  }
  d.showModal()
}
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || $('dialog[open]')) return
  if (e.target.closest('input,textarea,select,[contenteditable]')) return
  const card = e.target.closest('.card')
  if (card && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
    const all = $$('.card h3 a', card.parentElement)
    const i = all.indexOf($('h3 a', card)) + (e.key === 'ArrowDown' ? 1 : -1)
    if (all[i]) all[i].focus(); else if (i < 0) $('input[type=search]')?.focus()
    e.preventDefault()
    return
  }
  const key = keys.find(([k, , f]) => k === e.key && f)
  if (key) { e.preventDefault(); key[2]() }
})

for (const input of $$('form[role=search] .box input')) {
  if (input.dataset.live !== undefined) live(input); else names(input)
  if (input.closest('.top')) { const hint = make('kbd', {textContent: '/'}); hint.setAttribute('aria-hidden', 'true'); input.after(hint) }
}
copying(document)
// The tab that one is on may be outside of a narrow window.
const tab = $('.tabs [aria-current]')
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 40
for (const d of $$('details.switch')) document.addEventListener('click', e => { if (!d.contains(e.target)) d.open = false })
