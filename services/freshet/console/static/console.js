// The console in the browser: theme, keys, copy, ages that run, a cross-hair, and the parts that change.
// The pages are whole without it.
const root = document.documentElement;
const body = document.body;

// ---- theme: auto (the system's) | light | dark
const buttons = [...document.querySelectorAll(".theme button")];
function theme(name) {
  if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
  for (const b of buttons) b.setAttribute("aria-pressed", String(b.value === name));
  try { localStorage.setItem("theme", name); } catch { /* a private window */ }
}
let kept = "auto";
try { kept = localStorage.getItem("theme") ?? "auto"; } catch { /* a private window */ }
theme(kept);
for (const b of buttons) b.addEventListener("click", () => theme(b.value));

// ---- ages: they go on when nothing comes any more; the server's moment counts, not this machine's clock
const began = { server: Number(body.dataset.now), here: performance.now() };
const now = () => began.server + performance.now() - began.here;
function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${seconds.toFixed(0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${two(seconds % 3600 / 60)}`;
  return `${Math.floor(seconds / 86400)} d ${two(seconds % 86400 / 3600)}`;
}
function ages(within = document) {
  for (const one of within.querySelectorAll(".age[data-at]")) {
    const at = Number(one.dataset.at);
    const old = Math.max(0, now() - at);
    const words = at ? `${span(old / 1000)} ago` : "–";
    if (one.textContent !== words) one.textContent = words;
    one.classList.toggle("old", Boolean(one.dataset.old) && at > 0 && old > Number(one.dataset.old));
  }
}
setInterval(ages, 500);

// ---- what changed: elements stay the same where they can, so that focus and place are kept
function take(old, fresh) {
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, at) => {
    const has = before[at];
    if (!has) { old.append(node); return; }
    if (has.nodeType !== node.nodeType || has.nodeName !== node.nodeName) { has.replaceWith(node); return; }
    if (node.nodeType !== Node.ELEMENT_NODE) { if (has.data !== node.data) has.data = node.data; return; }
    if (has.dataset?.at && node.dataset?.at && has.classList.contains("age") && node.classList.contains("age")) { has.dataset.at = node.dataset.at; return; }
    if (has.isEqualNode(node) || has.classList.contains("cross")) return;
    for (const { name } of [...has.attributes]) if (!node.hasAttribute(name) && !(name === "open" && has.nodeName === "DETAILS")) has.removeAttribute(name);
    for (const { name, value } of [...node.attributes]) if (has.getAttribute(name) !== value) has.setAttribute(name, value);
    take(has, node);
  });
  for (const node of before.slice(after.length)) node.remove();
}
function show(name, html) {
  const place = document.getElementById(name);
  if (!place) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  take(place, fresh.content);
  ages(place);
}

// ---- the stream: the page says how old its news are, and when nobody sends any
const beat = document.getElementById("beat");
let heard = performance.now(), said = 0;
function alive() {
  if (!beat) return;
  const silent = performance.now() - heard > 5000;
  const word = silent ? "no news" : body.classList.contains("troubled") ? "Kafka is away" : "live";
  document.getElementById("beat-word").textContent = word;
  beat.classList.toggle("live", word === "live");
  beat.querySelector("use").setAttribute("href", word === "live" ? "#ok" : silent ? "#stale" : "#bad");
  body.classList.toggle("silent", word !== "live");
  for (const one of document.querySelectorAll(".act .btn:not([data-off])")) one.classList.toggle("asleep", word !== "live");
}
setInterval(alive, 500);
function tell(words) {
  if (performance.now() - said < 5000) return;
  said = performance.now();
  document.getElementById("said").textContent = words;
}
function listen() {
  const source = new EventSource(body.dataset.stream);
  source.addEventListener("message", (event) => {
    const { now_ms, trouble, parts } = JSON.parse(event.data);
    heard = performance.now();
    if (now_ms > began.server + heard - began.here - 100 || now_ms < now() - 3000) { began.server = now_ms; began.here = heard; }
    beat.querySelector(".age").dataset.at = now_ms;
    body.classList.toggle("troubled", Boolean(trouble));
    const before = document.querySelector("#head b")?.textContent;
    for (const [name, html] of Object.entries(parts)) show(name, html);
    const after = document.querySelector("#head b")?.textContent;
    if (before !== after && after) tell(after);
    alive();
  });
  addEventListener("pagehide", () => source.close());
}
if (body.dataset.stream) listen();
ages();

// ---- keys: 1 to 7 go to a question, j and k to the next and the last, g then i or p to another page, t changes the theme
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const key = event.key;
  const pages = { i: "/", p: body.dataset.pipeline ? `/pipelines/${body.dataset.pipeline}` : "/" };
  if (going && pages[key]) { location.href = pages[key]; return; }
  going = key === "g";
  if (/^[1-7]$/.test(key)) document.getElementById(`q${key}`)?.scrollIntoView();
  if (key === "t") theme(root.dataset.theme === "dark" ? "light" : "dark");
  if (key === "j" || key === "k") {
    const questions = [...document.querySelectorAll("section.q[id]")];
    const tops = questions.map((q) => Math.round(q.getBoundingClientRect().top) - 100);
    const at = key === "j" ? tops.findIndex((y) => y > 2) : tops.findLastIndex((y) => y < -2);
    questions[at]?.scrollIntoView();
  }
});

// ---- copy: the exact command line
document.addEventListener("click", async (event) => {
  const b = event.target.closest(".copy");
  if (!b) return;
  try { await navigator.clipboard.writeText(b.previousElementSibling.textContent.trim()); b.textContent = "copied"; }
  catch { getSelection().selectAllChildren(b.previousElementSibling); b.textContent = "selected"; }
  setTimeout(() => { b.textContent = "copy"; }, 1500);
});

// ---- cross-hair: one line through all panels, the time that it stands at, and the values there, which the table has
function values(at) {
  const away = (row) => Math.abs((Number(row.dataset.from) + Number(row.dataset.to)) / 2 - at);
  const [row] = [...document.querySelectorAll(".values tr[data-from]")].sort((one, other) => away(one) - away(other));
  // as far as the lines are drawn through
  if (!row || away(row) > Math.max(60_000, 6 * (row.dataset.to - row.dataset.from))) return "";
  const names = [...document.querySelectorAll(".values thead th")].slice(1);
  const told = [...row.cells].slice(1).map((cell, number) => [names[number].textContent, cell.textContent.trim()]);
  return told.filter(([, value]) => value !== "–").map(([name, value]) => ` · ${name} ${value}`).join("");
}
function cross(chart, share) {
  const line = chart.querySelector(".cross");
  const [x0, x1] = [Number(chart.dataset.x0), Number(chart.dataset.x1)];
  const at = Math.max(0, Math.min(1, share));
  const [since, until] = [Number(chart.dataset.since), Number(chart.dataset.until)];
  line.style.left = `${(x0 + (x1 - x0) * at) * 100}%`;
  line.style.visibility = "visible";
  line.dataset.at = String(at);
  const moment = since + (until - since) * at;
  line.dataset.time = new Date(moment).toISOString().slice(11, 19) + values(moment);
  line.classList.toggle("left", at > 0.5);
}
document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.(".chart[data-x0]");
  for (const line of document.querySelectorAll(".cross")) if (line.parentElement !== chart) line.style.visibility = "hidden";
  if (!chart) return;
  const box = chart.getBoundingClientRect();
  const [x0, x1] = [Number(chart.dataset.x0), Number(chart.dataset.x1)];
  cross(chart, ((event.clientX - box.left) / box.width - x0) / (x1 - x0));
});
document.addEventListener("keydown", (event) => {
  const chart = event.target.closest?.(".chart[data-x0]");
  if (!chart || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
  const at = Number(chart.querySelector(".cross").dataset.at ?? 1);
  cross(chart, at + (event.key === "ArrowLeft" ? -1 : 1) / 60);
  document.getElementById("said").textContent = chart.querySelector(".cross").dataset.time;
  event.preventDefault();
});
