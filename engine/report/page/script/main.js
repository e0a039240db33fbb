// Joins list, transcripts, search and addresses (#INVESTIGATION/TURN).

const at = (id) => document.getElementById(id);
const pane = at("pane");
const beside = at("beside");
let current = null; // what the pane shows: the group, and the places of its columns
let opening = 0;

function partners(place) {
  const mine = items[place];
  return items.flatMap((item, other) => {
    const isNear = item.replicate === mine.replicate && (item.phase === mine.phase || item.model === mine.model);
    const isKin = mine.origin === item.id || item.origin === mine.id;
    return other !== place && (isNear || isKin) ? [other] : [];
  });
}

function columnsFor(place) {
  const group = groups.find((each) => each.places.includes(place));
  const [left, right] = group.places.slice(0, 2);
  if (right === undefined) return { group, places: [left] };
  return { group, places: [left, right].includes(place) ? [left, right] : [left, place] };
}

function offer(view) {
  const [left, right] = view.places;
  const options = partners(left).map((place) => element("option", { value: place, selected: place === right }, items[place].id));
  beside.replaceChildren(element("option", { value: "", selected: right === undefined }, "nothing"), ...options);
  at("left").textContent = items[left].id;
  at("choice").hidden = options.length === 0;
}

async function show(view) {
  opening += 1;
  const mine = opening;
  const columns = await Promise.all(view.places.map(async (place) => ({ item: items[place], record: await transcript(place) })));
  if (mine !== opening) return false;
  current = view;
  offer(view);
  pane.replaceChildren(sideBySide(columns));
  highlightIn(pane, at("search").value);
  list.show(view.group);
  return true;
}

function address() {
  const [id, turn] = decodeURIComponent(location.hash.slice(1)).split("/");
  return placeOf.has(id) ? { place: placeOf.get(id), key: turn === undefined ? null : `${id}/${Number(turn)}` } : null;
}

async function follow() {
  const wanted = address();
  if (!wanted) return false;
  const isShown = current?.places.includes(wanted.place);
  if (!isShown && !(await show(columnsFor(wanted.place)))) return true;
  reach(wanted.key ? pane.querySelector(`[data-key="${CSS.escape(wanted.key)}"]`) : pane);
  return true;
}

// Heights above are estimates until they are drawn, so the way is gone until the place holds still.
function reach(target, tries = 8) {
  if (!target) return;
  pane.querySelectorAll(".target").forEach((each) => each.classList.remove("target"));
  if (target !== pane) target.classList.add("target");
  let before = NaN;
  const step = (left) => {
    target.scrollIntoView({ block: "start" });
    const now = target.getBoundingClientRect().top;
    if (left > 0 && Math.abs(now - before) > 1) requestAnimationFrame(() => step(left - 1));
    else if (target !== pane) target.focus({ preventScroll: true });
    before = now;
  };
  step(tries);
}

async function copyLink(button) {
  const link = `${location.href.split("#")[0]}#${button.dataset.copy}`;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "copied";
  } catch {
    window.prompt("The link to this turn:", link);
  }
  setTimeout(() => (button.textContent = "copy link"), 1500);
}

function later(work, ms = 250) {
  let timer;
  return (value) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(value), ms);
  };
}

const list = listOf(at("list"), at("count"), (group) => {
  history.pushState(null, "", `#${items[group.places[0]].id}`);
  follow();
});
const search = searchIn(at("results"), at("found"));

at("filter").addEventListener("input", later((event) => list.filter(event.target.value), 100));
at("search").addEventListener("input", later((event) => {
  search(event.target.value);
  highlightIn(pane, event.target.value);
}));
beside.addEventListener("change", () => {
  const [left] = current.places;
  show({ ...current, places: beside.value === "" ? [left] : [left, Number(beside.value)] });
});
pane.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copyLink(button);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  at("search").focus();
});
window.addEventListener("hashchange", follow);

document.body.classList.add("scripted");
list.filter("");
follow().then((isDone) => isDone || (items.length && show(columnsFor(0))));
