// What the pages need beyond htmx: dialogs, live regions that survive a lost connection, open details.
// Every page works without it: links open pages, forms post, live regions are as of the page's load.
"use strict";

(() => {
  const dialog = document.getElementById("dialog");
  const connection = document.getElementById("connection");
  const openDetails = new Set();
  const lastBody = new Map();
  const lastSeen = new Map();
  const opened = new Date();

  const live = (element) => (element instanceof Element ? element.closest("[data-live]") : null);
  const path = (address) => new URL(address, window.location.href).pathname;

  // --- confirm dialogs: htmx loads the form into #dialog, this shows it --------------------------
  const showDialog = () => {
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("textarea, input:not([type=hidden])")?.focus();
  };

  document.addEventListener("click", (event) => {
    const closer = event.target instanceof Element && event.target.closest("[data-close-dialog]");
    if (closer && dialog.contains(closer)) {
      event.preventDefault();
      dialog.close();
    }
  });

  // --- live regions ------------------------------------------------------------------------------
  const lost = (region) => {
    const at = (lastSeen.get(region.id) ?? opened).toISOString().slice(11, 19);
    connection.textContent = `Connection lost, showing data of ${at}. Trying again.`;
    connection.hidden = false;
    region.classList.add("is-stale");
  };

  const found = (region) => {
    lastSeen.set(region.id, new Date());
    region.classList.remove("is-stale");
    if (!document.querySelector(".is-stale")) connection.hidden = true;
  };

  // Told once to screen readers when it changes; the region itself is replaced too often to be announced.
  const announce = () => {
    const source = document.querySelector("[data-announce]");
    const speaker = document.getElementById("announce");
    if (source && speaker && speaker.textContent !== source.dataset.announce) {
      speaker.textContent = source.dataset.announce;
    }
  };

  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, (event) => {
      const region = live(event.detail.elt);
      if (region) lost(region);
    });
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    // A tab that nobody sees asks for nothing.
    if (document.hidden && live(event.detail.elt)) event.preventDefault();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target, requestConfig } = event.detail;
    if (target === dialog && xhr.status >= 400 && xhr.status < 500) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
      return;
    }
    const region = live(target);
    if (!region || xhr.status >= 400) return;
    if (xhr.responseURL && path(xhr.responseURL) !== path(requestConfig.path)) {
      // Redirected: the session ended. Reload, so that the sign-in page comes back here.
      event.detail.shouldSwap = false;
      window.location.reload();
      return;
    }
    found(region);
    // An unchanged region is left alone: a click under way, a selection and the focus stay undisturbed.
    if (lastBody.get(region.id) === xhr.responseText) event.detail.shouldSwap = false;
    lastBody.set(region.id, xhr.responseText);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog) showDialog();
    announce();
    for (const id of openDetails) document.getElementById(id)?.setAttribute("open", "");
  });

  document.addEventListener(
    "toggle",
    (event) => {
      const details = event.target;
      if (!(details instanceof HTMLDetailsElement) || !details.id || !details.isConnected) return;
      if (details.open) openDetails.add(details.id);
      else openDetails.delete(details.id);
    },
    true,
  );
})();
