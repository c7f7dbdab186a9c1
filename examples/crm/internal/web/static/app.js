// The pages work without this file; it makes them quicker. It keeps no value
// longer than it is shown and writes text only, never HTML.
"use strict";

const unhide = (root, selector) => root.querySelectorAll(selector).forEach((e) => { e.hidden = false; });

// A reason that is often used fills the field.
for (const presets of document.querySelectorAll("[data-presets]")) {
  presets.hidden = false;
  const input = presets.closest("form").elements.purpose;
  presets.addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (!chip) return;
    input.value = chip.textContent;
    input.focus();
  });
}

// Demo logins fill the form.
unhide(document, "[data-fill]");
for (const button of document.querySelectorAll("[data-fill]")) {
  button.addEventListener("click", () => {
    const { login, password } = button.closest("[data-login]").dataset;
    const form = document.getElementById("login").form;
    form.elements.login.value = login;
    form.elements.password.value = password;
    form.querySelector("button").focus();
  });
}

// A box that changes the list does so at once.
for (const box of document.querySelectorAll("[data-submit]")) {
  box.addEventListener("change", () => box.form.requestSubmit());
}

// "/" goes to the search field, as in many programs.
const find = document.getElementById("q");
if (find) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    find.focus();
    find.select();
  });
}

// Long work says that it has begun, and does not begin twice.
for (const button of document.querySelectorAll("[data-busy]")) {
  button.form.addEventListener("submit", () => {
    button.setAttribute("aria-busy", "true");
    button.querySelector("span").textContent = button.dataset.busy;
    setTimeout(() => { button.disabled = true; });
  });
}

// Showing a value: ask for a reason, fetch it, show it, take it away again.
const dialog = document.getElementById("reveal");
if (dialog) {
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector("[data-problem]");
  const go = dialog.querySelector("[data-go]");
  const said = document.getElementById("said");
  const shown = new Map(); // link → function that masks the value again
  let link = null;

  const say = (text, ...args) => {
    said.textContent = args.reduce((s, a, i) => s.replace(`{${i}}`, a), text);
  };
  const complain = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };

  const show = (at, value) => {
    const cell = document.getElementById("value-" + at.dataset.reveal);
    const masked = [...cell.childNodes];
    const text = at.querySelector("span");
    const words = text.textContent;
    const label = at.getAttribute("aria-label");
    const output = document.createElement("output");
    output.className = "revealed";
    output.textContent = value;
    const time = document.createElement("span");
    time.className = "fuse";
    cell.replaceChildren(output, time);
    text.textContent = dialog.dataset.hide;
    at.setAttribute("aria-label", dialog.dataset.hide + " " + at.dataset.label);
    const timer = setTimeout(() => shown.get(at)?.(), dialog.dataset.seconds * 1000);
    shown.set(at, () => {
      clearTimeout(timer);
      shown.delete(at);
      output.textContent = "";
      cell.replaceChildren(...masked);
      text.textContent = words;
      at.setAttribute("aria-label", label);
      say(dialog.dataset.hidden, at.dataset.label);
    });
    say(dialog.dataset.shown, at.dataset.label, dialog.dataset.seconds);
  };

  for (const a of document.querySelectorAll("[data-reveal]")) {
    a.setAttribute("role", "button");
    a.addEventListener("keydown", (event) => {
      if (event.key === " ") {
        event.preventDefault();
        a.click();
      }
    });
    a.addEventListener("click", (event) => {
      event.preventDefault();
      if (shown.has(a)) {
        shown.get(a)();
        return;
      }
      link = a;
      form.elements.field.value = a.dataset.reveal;
      dialog.querySelector("[data-field]").textContent = a.dataset.label;
      complain("");
      dialog.showModal();
      form.elements.purpose.focus();
      form.elements.purpose.select();
    });
  }

  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const at = link;
    go.disabled = true;
    complain("");
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
        cache: "no-store",
        redirect: "error",
      });
      const body = await answer.json();
      if (answer.ok) {
        dialog.close();
        show(at, body.value);
        at.focus();
      } else {
        complain(body.error);
      }
    } catch {
      complain(dialog.dataset.failed);
    } finally {
      go.disabled = false;
    }
  });

  // Nothing stays behind in a page that the browser keeps for "back".
  addEventListener("pagehide", () => { for (const mask of [...shown.values()]) mask(); });
}
