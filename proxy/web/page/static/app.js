// What a page does beyond its links and forms: local times. Without this file everything still works.
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
})();
