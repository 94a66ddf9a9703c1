// What a page does beyond its links and forms: local times, live fragments, keys. Without it everything works.
"use strict";

(() => {
  const language = document.documentElement.lang;
  const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

  // Shows the times in an element in the operator's own zone; UTC stays in the title.
  function localTimes(root) {
    const today = day.format(new Date());
    for (const each of root.querySelectorAll("time[datetime]")) {
      const at = new Date(each.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      each.textContent = (day.format(at) === today ? clock : moment).format(at);
    }
  }

  localTimes(document);
  document.addEventListener("htmx:load", (event) => localTimes(event.detail.elt));

  // Shows the buttons that copy, which do nothing without scripts.
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = button.dataset.copied;
    });
  }

  const status = document.getElementById("live");
  if (!status) return;

  // Live: each fragment with data-live and an id is asked for again, when something has changed or is old.

  const TICK = 2000;
  const OLD = 10000;
  const SILENT = 7000;
  const word = document.getElementById("live-word");
  const time = document.getElementById("live-time");
  const shownRevision = document.getElementById("revision");
  const pause = document.getElementById("pause");
  let revision = status.dataset.revision;
  let source = null;
  let paused = false;
  let refreshing = false;
  let refreshed = Date.now();
  let heard = Date.now(); // the last event of the stream
  let reached = Date.now(); // the last answer of any kind
  let asked = 0; // the last try without the stream

  // The status has its words in attributes of such names, too, and stays: this script holds its elements.
  const fragments = () => [...document.querySelectorAll("[data-live][id]:not(#live)")];

  function show(state) {
    const said = status.getAttribute(`data-word-${state}`);
    if (word.textContent !== said) word.textContent = said; // else it would be read out again
    time.textContent = clock.format(new Date(reached));
    status.classList.toggle("is-live", state === "live");
    status.classList.toggle("is-stale", state === "stale");
  }

  // A fragment in which somebody types, chooses or marks something stays as it is.
  function busy(fragment) {
    const selection = document.getSelection();
    const marked = selection && !selection.isCollapsed && fragment.contains(selection.anchorNode);
    return marked || (fragment.contains(document.activeElement) && typing(document.activeElement));
  }

  const focusable = (root) => [...root.querySelectorAll("a[href], button, summary, [tabindex]")];

  // Replaces a fragment by its newer self, with the focus, the open details and the scrolling that it had.
  async function replace(fragment) {
    const id = fragment.id;
    const focused = focusable(fragment).indexOf(document.activeElement);
    const onRow = here >= 0 && rows()[here] === document.activeElement;
    const open = [...fragment.querySelectorAll("details")].map((each) => each.open);
    const scrolled = [...fragment.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    await htmx.ajax("GET", location.href, { target: fragment, select: `#${CSS.escape(id)}`, swap: "outerHTML" });
    const made = document.getElementById(id);
    if (!made || made === fragment) return;
    [...made.querySelectorAll("details")].forEach((each, number) => { each.open = open[number] ?? each.open; });
    [...made.querySelectorAll(".scroll")].forEach((each, number) => { each.scrollLeft = scrolled[number] ?? 0; });
    if (made.contains(rows()[here] ?? null)) choose(rows()[here], { isFocused: onRow });
    if (focused >= 0 && !onRow) focusable(made)[focused]?.focus({ preventScroll: true });
  }

  async function refresh() {
    if (refreshing || paused) return;
    refreshing = true;
    refreshed = Date.now();
    try {
      for (const each of fragments()) if (!busy(each)) await replace(each);
    } catch { /* the status says so */ } finally { refreshing = false; }
  }

  function connect() {
    source = new EventSource("/events");
    source.addEventListener("tick", (event) => {
      const now = JSON.parse(event.data);
      heard = reached = Date.now();
      show("live");
      const changed = String(now.revision) !== revision;
      revision = String(now.revision);
      shownRevision.textContent = shownRevision.textContent.replace(/\d+/, revision);
      document.dispatchEvent(new CustomEvent("michiq:tick", { detail: now }));
      if (changed || Date.now() - refreshed >= OLD) refresh();
    });
    source.addEventListener("change", (event) => {
      document.dispatchEvent(new CustomEvent("michiq:change", { detail: JSON.parse(event.data) }));
    });
  }

  function disconnect() {
    source?.close();
    source = null;
  }

  // Asks whether the page can still be had: without a session it leads to the login.
  async function reachable() {
    try {
      const answer = await fetch(location.href, { method: "HEAD" });
      if (answer.redirected) location.reload();
      return answer.ok;
    } catch {
      return false;
    }
  }

  // Without events the page asks by itself, and says so; what neither way brings is stale.
  async function watch() {
    const now = Date.now();
    if (paused || document.hidden || now - heard < SILENT || now - asked < OLD) return;
    asked = now;
    if (!source || source.readyState === EventSource.CLOSED) {
      disconnect();
      connect();
    }
    if (await reachable()) {
      reached = Date.now();
      if (!paused) show("polling");
      await refresh();
    } else if (!paused) show("stale");
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      disconnect();
      show("paused");
    } else {
      connect();
      refresh();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (paused) return;
    disconnect();
    if (!document.hidden) {
      connect();
      refresh();
    }
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => { if (event.persisted && !paused) connect(); });
  connect();
  setInterval(watch, TICK);

  // Keys. None of them changes anything; they can be switched off, since some people speak to their machine.

  const GO = { n: "/", d: "/differences", r: "/requests", c: "/clients", a: "/audit" };
  const NEXT = 1500;
  const help = document.getElementById("help");
  const switched = document.getElementById("use-keys");
  let went = 0;

  const typing = (element) => Boolean(element?.closest("input, select, textarea, [contenteditable]"));
  let here = -1; // the chosen row, also while its fragment is replaced
  const rows = () => [...document.querySelectorAll("table.rows > tbody > tr")];

  // Marks a row; Enter then opens what its first link leads to.
  function choose(row, { isFocused }) {
    if (!row) return;
    row.classList.add("is-here");
    if (!isFocused) return;
    const target = row.querySelector("a[href], summary, button") ?? row;
    if (target === row) row.tabIndex = -1;
    target.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function move(step) {
    const all = rows();
    if (!all.length) return;
    all[here]?.classList.remove("is-here");
    const last = all.length - 1;
    here = here < 0 ? (step > 0 ? 0 : last) : Math.min(Math.max(here + step, 0), last);
    choose(all[here], { isFocused: true });
  }

  function keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!switched.checked || typing(event.target) || document.querySelector("dialog[open]")) return;
    const now = Date.now();
    if (went && now - went < NEXT && event.key in GO) {
      event.preventDefault();
      location.assign(GO[event.key]);
      return;
    }
    went = event.key === "g" ? now : 0;
    const filter = document.querySelector(".filters input:not([type=hidden]), .filters select");
    if (event.key === "/" && filter) filter.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") help.showModal();
    else return;
    event.preventDefault();
  }

  switched.checked = localStorage.getItem("michiq-keys") !== "off";
  switched.addEventListener("change", () => localStorage.setItem("michiq-keys", switched.checked ? "on" : "off"));
  document.addEventListener("keydown", keyed);
  const keys = document.getElementById("keys");
  keys.hidden = false;
  keys.addEventListener("click", () => help.showModal());
})();
