// Shows the page of a change as a dialog over the route, and ends the offer to undo in time.
"use strict";

(() => {
  const dialog = document.getElementById("dialog");

  document.addEventListener("htmx:afterSwap", (event) => {
    if (dialog && event.detail.target === dialog && !dialog.open) dialog.showModal();
  });

  document.addEventListener("click", (event) => {
    if (dialog && dialog.open && event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });

  for (const form of document.querySelectorAll("form[data-undo]")) {
    setTimeout(() => form.remove(), Number(form.dataset.undo) * 1000);
  }
})();
