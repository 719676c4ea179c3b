#pragma once

#include "../base/requirements.hpp"

#include <string_view>

// What a browser shows of /status.json. Nothing comes from elsewhere, and texts become text, never HTML: a header of the
// answers (Content-Security-Policy) refuses anything else. It works without a mouse, on a phone, in dark and light.

namespace distwork::detail {

inline constexpr std::string_view page_html = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>distwork</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<script src="app.js" defer></script>
</head>
<body>
<header>
<h1>distwork</h1>
<p id="connection" role="status">Connecting</p>
<button id="pause" type="button" aria-pressed="false">Pause</button>
</header>
<noscript><p>This page needs JavaScript. The same figures are at <a href="status.json">status.json</a>.</p></noscript>
<main>
<section aria-labelledby="progress-title">
<h2 id="progress-title">Works</h2>
<p><progress id="progress" max="1" value="0" aria-labelledby="progress-text"></progress> <span id="progress-text"></span></p>
<dl id="counts"></dl>
<figure>
<svg id="chart" viewBox="0 0 120 30" preserveAspectRatio="none" role="img" aria-labelledby="chart-text">
<polyline id="line" points=""></polyline>
</svg>
<figcaption id="chart-text"></figcaption>
</figure>
</section>
<section aria-labelledby="waiting-title">
<h2 id="waiting-title">What waits, and why</h2>
<p id="waiting-text"></p>
<table aria-labelledby="waiting-title"><thead></thead><tbody id="waiting"></tbody></table>
</section>
<section aria-labelledby="failures-title">
<h2 id="failures-title">Failures</h2>
<p id="failures-text"></p>
<dl id="failures"></dl>
</section>
<section aria-labelledby="slaves-title">
<h2 id="slaves-title">Slaves</h2>
<p><meter id="slots" min="0" max="1" value="0" aria-labelledby="slaves-text"></meter> <span id="slaves-text"></span></p>
<table aria-labelledby="slaves-title"><thead></thead><tbody id="slaves"></tbody></table>
<div id="spread">
<table aria-label="Slaves by works in flight for each slot"><thead></thead><tbody id="load"></tbody></table>
<table aria-label="Slaves by round trip"><thead></thead><tbody id="round-trip"></tbody></table>
</div>
</section>
</main>
</body>
</html>
)html";

inline constexpr std::string_view page_css = R"css(
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --ground: #fff; --raised: #f3f5f7; --edge: #c9d1d9;
  --accent: #0b62c4; --bad: #b3261e; --busy: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --quiet: #9aa5b1; --ground: #0d1117; --raised: #161b22; --edge: #3a424c; --accent: #6cb2ff;
    --bad: #ff8a80; --busy: #f0b849; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 0 1rem 2rem; background: var(--ground); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; }
header { display: flex; align-items: center; gap: 1rem; flex-wrap: wrap; border-bottom: 1px solid var(--edge); }
header p { margin: 0; flex: 1; color: var(--quiet); }
h1 { font-size: 1.4rem; margin: .7rem 0; }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; }
button { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--edge); border-radius: .4rem;
  padding: .3rem .9rem; min-height: 2.75rem; min-width: 6rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
progress, meter { width: 12rem; max-width: 100%; height: 1rem; vertical-align: middle; accent-color: var(--accent); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .5rem; margin: .6rem 0; }
dl div { background: var(--raised); border-radius: .4rem; padding: .5rem .7rem; }
dt { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: .6rem 0; }
figcaption { color: var(--quiet); font-size: .85rem; }
svg { display: block; width: 100%; height: 5rem; background: var(--raised); border-radius: .4rem; }
polyline { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--edge); font-weight: normal;
  overflow-wrap: anywhere; unicode-bidi: isolate; }
thead th { color: var(--quiet); font-size: .85rem; }
.number { text-align: right; white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; }
.busy { color: var(--busy); font-weight: 600; }
table:not(:has(tbody tr)), [hidden] { display: none; }
#spread { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; margin-top: 1rem; }
@media (max-width: 44rem) {
  #slaves, #slaves tr, #slaves th, #slaves td, #waiting, #waiting tr, #waiting th, #waiting td { display: block; }
  table:has(#slaves) thead, table:has(#waiting) thead { display: none; }
  #slaves tr, #waiting tr { border: 1px solid var(--edge); border-radius: .4rem; margin: .6rem 0; }
  #slaves th, #slaves td, #waiting th, #waiting td { border: 0; text-align: left; padding: .2rem .6rem; }
  #slaves td::before, #waiting td::before { content: attr(data-label) ": "; color: var(--quiet); }
}
)css";

inline constexpr std::string_view page_js = R"js('use strict';
const by = id => document.getElementById(id);
const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const rough = new Intl.NumberFormat('en', {maximumSignificantDigits: 3});

function scaled(value, units, step) {
  let i = 0;
  while (value >= step && i + 1 < units.length) { value /= step; ++i; }
  return rough.format(value) + ' ' + units[i];
}
const bytes = value => scaled(value, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 1024);
function time(seconds) {
  if (seconds >= 172800) return whole.format(seconds / 86400) + ' d';
  if (seconds >= 7200) return whole.format(seconds / 3600) + ' h';
  if (seconds >= 120) return whole.format(seconds / 60) + ' min';
  return seconds >= 1 ? rough.format(seconds) + ' s' : scaled(seconds * 1e6, ['µs', 'ms'], 1000);
}
const unless = (value, none, text) => value === none ? '–' : text(value);

// Texts are set only where they changed: what is read aloud, selected or focused stays.
function set(node, text) { if (node.textContent !== text) node.textContent = text; }

// rows: of cells [heading, text, class]
function fillTable(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  const head = body.parentNode.tHead;
  rows.forEach((cells, at) => {
    const row = body.rows[at] || body.insertRow();
    cells.forEach(([heading, text, kind], column) => {
      if (!row.cells[column]) {
        const cell = row.appendChild(document.createElement(column ? 'td' : 'th'));
        cell.dataset.label = heading;
        if (!column) cell.scope = 'row';
      }
      set(row.cells[column], text);
      row.cells[column].className = kind || '';
    });
    if (at || head.rows.length) return;
    const line = head.insertRow();
    for (const [heading, , kind] of cells) {
      const cell = line.appendChild(document.createElement('th'));
      cell.scope = 'col';
      cell.className = kind && kind.startsWith('number') ? 'number' : '';
      cell.textContent = heading;
    }
  });
}

// items: of [name, text, class]
function fillList(list, items) {
  items.forEach(([name, text, kind], at) => {
    let item = list.children[at];
    if (!item) {
      item = list.appendChild(document.createElement('div'));
      item.appendChild(document.createElement('dt'));
      item.appendChild(document.createElement('dd'));
    }
    set(item.children[0], name);
    set(item.children[1], text);
    item.children[1].className = kind || '';
  });
}

let samples = [];  // [seconds, works completed]
let rates = [];    // works a second, for the chart

function measure(status) {
  const now = status.elapsed_seconds;
  if (samples.length && now < samples.at(-1)[0]) samples = rates = [];  // another dashboard
  samples = [...samples, [now, status.works.completed]].filter(sample => now - sample[0] <= 5.5);
  const [first, done] = samples[0];
  if (now === first) return 0;
  const rate = (status.works.completed - done) / (now - first);
  rates = [...rates, rate].slice(-120);
  return rate;
}

function showWorks(status) {
  const works = status.works;
  const rate = measure(status);
  const left = works.admitted - works.completed;
  by('progress').value = works.admitted ? works.completed / works.admitted : 0;
  set(by('progress-text'), `${whole.format(works.completed)} of ${whole.format(works.admitted)} works are completed` +
    (rate > 0 && left > rate ? `; the rest takes about ${time(left / rate)}` : '') +
    (status.accepts ? '' : '. The master stops'));
  fillList(by('counts'), [['Succeeded', whole.format(works.succeeded)], ['In flight', whole.format(works.in_flight)],
    ['Waiting', whole.format(works.backlog)], ['Works a second', rough.format(rate)],
    ['Sent', bytes(works.bytes_sent)], ['Received', bytes(works.bytes_received)]]);
  const most = Math.max(...rates, 1e-9);
  by('line').setAttribute('points', rates.map((value, at) =>
    `${120 - rates.length + at},${(29 - 28 * value / most).toFixed(2)}`).join(' '));
  set(by('chart-text'), rates.length ? `Works a second, the last ${rates.length} figures; the most: ${rough.format(most)}`
                                     : 'Works a second');
}

function showFailures(works) {
  const bad = count => count ? 'bad' : '';
  const failures = works.failed + works.cancelled + works.timed_out + works.lost;
  set(by('failures-text'), failures ? `${whole.format(failures)} works did not succeed` : 'No work has failed.');
  fillList(by('failures'), [['Failed', whole.format(works.failed), bad(works.failed)],
    ['Timed out', whole.format(works.timed_out), bad(works.timed_out)],
    ['Lost', whole.format(works.lost), bad(works.lost)], ['Cancelled', whole.format(works.cancelled)],
    ['Refused', whole.format(works.refused), bad(works.refused)], ['Sent again after a loss', whole.format(works.requeued)],
    ['Retries', whole.format(works.retries)], ['Recalled', whole.format(works.recalled)]]);
}

function showWaiting(waiting) {
  const more = waiting.kinds - waiting.listed.length;
  set(by('waiting-text'), !waiting.kinds ? 'Nothing waits.' : more ? `${whole.format(more)} more kinds are not listed.` : '');
  fillTable(by('waiting'), waiting.listed.map(kind => [['Type', kind.type], ['Works', whole.format(kind.works), 'number'],
    ['Why', kind.why, kind.reason === 'no_slave' || kind.reason === 'no_capable' ? 'bad' : ''],
    ['Labels', kind.labels.join(', ') || '–'], ['Priority', String(kind.priority), 'number']]));
}

function showSlaves(slaves) {
  by('slots').max = slaves.slots || 1;
  by('slots').value = slaves.slots - slaves.free_slots;
  const stages = ['ready', 'starting', 'draining', 'suspected'].filter(stage => slaves[stage]);
  const more = slaves.connected - slaves.listed.length;
  set(by('slaves-text'), slaves.connected ? `${whole.format(slaves.slots - slaves.free_slots)} of ` +
    `${whole.format(slaves.slots)} slots of ${whole.format(slaves.connected)} slaves are in use: ` +
    stages.map(stage => `${whole.format(slaves[stage])} ${stage}`).join(', ') +
    (more ? `. The ${slaves.listed.length} are listed that want most attention` : '') : 'No slave is connected.');
  const kinds = {ready: '', starting: 'busy', draining: 'busy', suspected: 'bad'};
  fillTable(by('slaves'), slaves.listed.map(slave => [['Name', slave.name], ['State', slave.stage, kinds[slave.stage]],
    ['Slots in use', `${slave.slots - slave.free_slots} of ${slave.slots}`, 'number'],
    ['In flight', whole.format(slave.in_flight), 'number'], ['Done', whole.format(slave.completed), 'number'],
    ['Failed', whole.format(slave.failed), slave.failed ? 'number bad' : 'number'],
    ['Mean time', unless(slave.mean_execution_seconds, 0, time), 'number'],
    ['Round trip', unless(slave.round_trip_seconds, 0, time), 'number'],
    ['Load', rough.format(slave.load_average), 'number'],
    ['Free memory', unless(slave.free_memory, 0, bytes), 'number'],
    ['Connected', time(slave.connected_seconds), 'number'], ['Labels', slave.labels.join(', ') || '–']]));
  by('spread').hidden = !more;
  if (!more) return;
  const spread = (figures, heading, text) => figures.map(([bound, count]) => [
    [heading, bound === null ? 'more' : 'up to ' + text(bound)], ['Slaves', whole.format(count), 'number']]);
  fillTable(by('load'), spread(slaves.load, 'Works for each slot', bound => rough.format(bound)));
  fillTable(by('round-trip'), spread(slaves.round_trip_seconds, 'Round trip', time));
}

let heard = 0;
function show(text) {
  heard = performance.now();
  if (by('pause').getAttribute('aria-pressed') === 'true') return;
  const status = JSON.parse(text);
  showWorks(status);
  showWaiting(status.waiting);
  showFailures(status.works);
  showSlaves(status.slaves);
}

async function poll() {
  try {
    const answer = await fetch('status.json');
    if (answer.ok) show(await answer.text());
  } catch { /* it is told below that there was no answer */ }
  setTimeout(poll, 2000);
}

by('pause').addEventListener('click', event => {
  const pauses = event.currentTarget.getAttribute('aria-pressed') !== 'true';
  event.currentTarget.setAttribute('aria-pressed', String(pauses));
});
const stream = new EventSource('events');
stream.addEventListener('message', event => show(event.data));
stream.addEventListener('error', () => { if (stream.readyState === EventSource.CLOSED) poll(); });  // too many streams
setInterval(() => {
  const silent = performance.now() - heard > 6000;
  by('connection').className = silent ? 'bad' : '';
  set(by('connection'), silent ? 'No answer: these figures are old' :
    by('pause').getAttribute('aria-pressed') === 'true' ? 'Paused' : 'Live');
}, 500);
)js";

}  // namespace distwork::detail
