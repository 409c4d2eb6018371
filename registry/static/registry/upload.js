// Large files and folders of the upload form go in parts, straight to where they are kept, and go on after a break:
// what is chosen again continues where it stopped. Without this script the form posts one file in one request.
"use strict";

(() => {
  const form = document.querySelector("form[data-uploads]");
  if (!form) return;
  const uploads = form.dataset.uploads;
  const direct = form.dataset.direct ?? "";
  const least = Number(form.dataset.least);
  const token = form.querySelector("input[name=csrfmiddlewaretoken]").value;
  const panel = form.querySelector("[data-progress]");
  const bar = panel.querySelector("progress");
  const text = panel.querySelector("[data-progress-text]");
  const stop = panel.querySelector("button");
  const send = form.querySelector("button:not([type=button])");
  const folder = form.querySelector("[data-folder] input");
  let running = null;
  folder.closest("[data-folder]").hidden = false;

  const mebibytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  class Refused extends Error {}

  const ask = async (method, url, body) => {
    const headers = { Accept: "application/json", "X-CSRFToken": token };
    if (body) headers["Content-Type"] = "application/json";
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal: running.signal });
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const problem = await answer.json().catch(() => ({}));
    const told = [problem.detail, problem.hint].filter(Boolean).join(" ") || `The server answered ${answer.status}.`;
    if (answer.status >= 500 || answer.status === 429) throw new Error(told);
    throw Object.assign(new Refused(told), { status: answer.status });
  };

  // One part; XMLHttpRequest because fetch does not tell how far it is.
  const put = (url, own, blob, tell) =>
    new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      const abort = () => request.abort();
      running.signal.addEventListener("abort", abort, { once: true });
      request.open("PUT", url);
      if (own) {
        request.setRequestHeader("X-CSRFToken", token);
        request.setRequestHeader("Content-Type", "application/octet-stream");
      }
      request.upload.onprogress = (event) => tell(event.loaded);
      request.onerror = () => failed(new Error("The connection was lost."));
      request.onabort = () => failed(new DOMException("stopped", "AbortError"));
      request.onload = () => {
        running.signal.removeEventListener("abort", abort);
        if (request.status < 300) done();
        else failed(new Error(`The part was answered with ${request.status}.`));
      };
      request.send(blob);
    });

  // Again after a pause that grows, as long as nobody says that it makes no sense.
  const persist = async (work) => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof Refused || error.name === "AbortError") throw error;
        text.textContent = `${error.message} Trying again.`;
        await pause(Math.min(1000 * 2 ** attempt, 15000));
        if (running.signal.aborted) throw new DOMException("stopped", "AbortError");
      }
    }
  };

  const begin = async (file, memo) => {
    const known = localStorage.getItem(memo);
    if (known) {
      try {
        const found = await ask("GET", `${uploads}/${known}`);
        if (found.size === file.size) return found;
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
      }
    }
    const made = await ask("POST", uploads, { size: file.size, filename: file.name });
    localStorage.setItem(memo, made.id);
    return made;
  };

  const transfer = async (file) => {
    const named = file.webkitRelativePath || file.name;
    const memo = `slipway-upload:${uploads}:${named}:${file.size}:${file.lastModified}`;
    const upload = await persist(() => begin(file, memo));
    const there = new Set(upload.received);
    let sent = 0;
    const tell = (more) => {
      bar.max = file.size || 1;
      bar.value = sent + more;
      text.textContent = `${named}: ${mebibytes(sent + more)} of ${mebibytes(file.size)}`;
    };
    for (let number = 1; number <= upload.parts && !upload.complete; number += 1) {
      const start = (number - 1) * upload.part_size;
      const blob = file.slice(start, start + upload.part_size);
      if (!there.has(number)) {
        await persist(async () => {
          const address = `${uploads}/${upload.id}/parts/${number}`;
          const part = direct ? await ask("GET", address) : { direct: false };
          const straight = part.direct && new URL(part.url).origin === direct;
          await put(straight ? part.url : address, !straight, blob, tell);
        });
      }
      sent += blob.size;
      tell(0);
    }
    if (!upload.complete) await persist(() => ask("POST", `${uploads}/${upload.id}/complete`));
    return { id: upload.id, forget: () => localStorage.removeItem(memo) };
  };

  // The files of a folder by their paths below it, one after the other.
  const transferFolder = async (files) => {
    const done = [];
    for (const file of files) done.push({ file, ...(await transfer(file)) });
    const below = (file) => file.webkitRelativePath.slice(file.webkitRelativePath.indexOf("/") + 1);
    const named = done.map(({ file, id }) => ({ path: below(file), upload: id }));
    form.elements.folder_uploads.value = JSON.stringify(named);
    form.elements.folder_name.value = files[0].webkitRelativePath.split("/")[0];
    for (const { forget } of done) forget();
  };

  // A folder stands in place of the file, so either is enough.
  const artifact = form.elements.artifact;
  folder.addEventListener("change", () => {
    artifact.required = folder.files.length === 0;
  });

  form.addEventListener("submit", async (event) => {
    const fields = ["artifact", "reference"].map((name) => form.elements[name]);
    const chosen = fields.filter((field) => field.files.length > 0);
    const parts = [...folder.files];
    if (running || !(parts.length || chosen.some((field) => field.files[0].size >= least))) return;
    event.preventDefault();
    if (parts.length && artifact.files.length) {
      panel.hidden = false;
      text.textContent = "Choose a file or a folder, not both.";
      return;
    }
    running = new AbortController();
    panel.hidden = false;
    send.disabled = true;
    try {
      if (parts.length) await transferFolder(parts);
      for (const field of chosen) {
        const done = await transfer(field.files[0]);
        form.elements[`${field.name}_upload`].value = done.id;
        done.forget();
      }
      for (const field of fields) {
        field.disabled = true;
        field.required = false;
      }
      text.textContent = "All is there; registering the version.";
      HTMLFormElement.prototype.submit.call(form);
    } catch (error) {
      running = null;
      send.disabled = false;
      text.textContent =
        error.name === "AbortError"
          ? "Stopped. Register again to go on where it stopped, also after a reload with the same file."
          : error.message;
    }
  });

  stop.addEventListener("click", () => running?.abort());
})();
