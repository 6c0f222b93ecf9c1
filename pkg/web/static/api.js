// Try-it on the page of the API: a form for every operation that only reads,
// made of the parameters that the page lists. It asks as whoever looks.
const make = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children); return e }
const most = 20_000 // characters of an answer that are shown

for (const op of document.querySelectorAll('article[data-path]')) {
  const fields = [...op.querySelectorAll('tr[data-param]')].map(tr => {
    const {param, at, example} = tr.dataset
    if (at !== 'path' && at !== 'query') return null
    const input = make('input', {name: param, value: at === 'path' ? example || '' : '', placeholder: example || '', required: at === 'path', autocomplete: 'off', spellcheck: false})
    return {param, at, input, label: make('label', {className: 'field'}, param, input)}
  }).filter(Boolean)
  const out = make('pre', {tabIndex: 0, hidden: true}), status = make('p', {className: 'dim'})
  status.setAttribute('role', 'status')
  const form = make('form', {className: 'stack'}, ...fields.map(f => f.label), make('button', {textContent: 'Send'}), status, out)
  form.addEventListener('submit', async e => {
    e.preventDefault()
    const query = new URLSearchParams()
    let path = op.dataset.path
    for (const f of fields) {
      const v = f.input.value.trim()
      if (f.at === 'path') path = path.replace(`{${f.param}}`, v.split('/').map(encodeURIComponent).join('/'))
      else if (v) query.set(f.param, v)
    }
    const url = path + (query.size ? '?' + query : '')
    const from = performance.now()
    status.textContent = 'Asking…'
    try {
      const r = await fetch(url, {headers: {Accept: 'application/json, */*;q=0.5'}})
      const text = await r.text()
      let body = text
      try { body = JSON.stringify(JSON.parse(text), null, 2) } catch { /* no JSON: as it came */ }
      status.textContent = `GET ${url} answered ${r.status} in ${Math.round(performance.now() - from)} ms, ${text.length} characters`
      out.textContent = body.length > most ? body.slice(0, most) + '\n…' : body
      out.hidden = false
    } catch (err) { status.textContent = `GET ${url}: ${err.message}` }
  })
  op.append(make('details', {}, make('summary', {textContent: 'Try it'}), make('div', {}, form)))
}
