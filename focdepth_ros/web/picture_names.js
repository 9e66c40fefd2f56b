// Names the pictures of the page for screen readers: window.focdepthPictures has the name of each by
// the id of what it is in.
(() => {
  "use strict";
  new MutationObserver(() => {
    for (const [id, name] of Object.entries(window.focdepthPictures)) {
      for (const picture of document.querySelectorAll(`#${id} img`)) {
        if (picture.alt !== name) picture.alt = name;
      }
    }
  }).observe(document, { childList: true, subtree: true });
})();
