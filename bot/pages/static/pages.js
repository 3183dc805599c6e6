// Keeps the keyboard where it was: what is drawn anew must not throw its user back to the top of the page.

(() => {
  let last = null; // what had the focus, what it was called, and the places around it, nearest first

  const can = "button, a[href], input, textarea, select, [tabindex]";
  const named = (element) => element.getAttribute("aria-label") || element.textContent || element.name;

  document.addEventListener("focusin", ({ target }) => {
    const around = [];
    for (let each = target.parentElement; each; each = each.parentElement) around.push(each);
    last = { target, name: named(target), around };
  });

  const restore = () => {
    const opened = document.querySelector("[role=dialog]:not([data-met])");
    if (opened) {
      opened.dataset.met = "";
      (opened.querySelector("input, textarea, select") || opened.querySelector("button"))?.focus();
      return;
    }
    if (!last || last.target.isConnected || document.activeElement !== document.body) return;
    const home = last.around.find((each) => each.isConnected);
    const twin = [...home.querySelectorAll(can)].find((each) => named(each) === last.name && !each.disabled);
    const place = twin || home.closest("[tabindex]") || document.getElementById("content");
    place?.focus({ preventScroll: true });
  };

  new MutationObserver(() => requestAnimationFrame(restore)).observe(document, { childList: true, subtree: true });

  addEventListener("beforeunload", () => document.getElementById("leaving")?.classList.add("on"));
})();
