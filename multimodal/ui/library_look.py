"""How the library tab looks."""

from __future__ import annotations

LIBRARY_CSS = """
.gradio-container:has(#library-head) { overflow: clip !important; }
#library-head { font-size: .9rem; }
#library-head p { margin: 0; }
#library-head p + p { opacity: .8; font-size: .85rem; }
#library-download { display: none; }
.said .html-container, .bare .html-container { padding: 0; }
.block.said:not(:has(.prose > *)) { display: none; }
:is(#gallery, #duplicate-groups):not(:has(li)) { display: none; }
.compact { flex: 0 0 auto !important; width: auto !important; min-width: 0; align-self: flex-start; }
#found-row, #selection, #undo-bar { align-items: center; }
:is(#found-row, #selection, #undo-bar) .compact { align-self: center; }
#found { flex: 1 1 240px; }
#show-more { align-self: center; min-width: 160px; }
#selection { align-items: center; gap: 8px; padding: 8px 0; }
#found-column:has(.picked) #selection { position: sticky; bottom: 0; z-index: 10; background: var(--body-background-fill); }
#selection > #selected-count { flex: 1 1 auto; width: auto; min-width: 90px; }
#selected-count p { margin: 0; font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 8px; margin: 0; padding: 0 !important;
  list-style: none !important; }
.tiles li { position: relative; margin: 0; border-radius: 10px; overflow: hidden; background: var(--background-fill-secondary); }
.tiles button { padding: 0; cursor: pointer; }
.tiles .look { display: block; width: 100%; aspect-ratio: 1; }
.tiles .look img { width: 100%; height: 100%; object-fit: cover; margin: 0; display: block; }
.tiles .gone { display: grid; place-items: center; height: 100%; font-size: 1.6rem; }
.tiles .under { display: block; padding: 3px 8px 5px; font-size: .75rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tiles .corner { position: absolute; top: 6px; width: 28px; height: 28px; border-radius: 50%; color: transparent; font-size: .9rem;
  line-height: 1;  background: rgb(255 255 255 / .55); border: 2px solid rgb(15 23 42 / .45); }
.tiles .words { padding: 0 4px; border: 1px solid var(--border-color-primary); border-radius: 4px; opacity: .8; }
.tiles .left { left: 6px; }
.tiles .right { right: 6px; border: none; color: #0f172a; background: rgb(255 255 255 / .7); }
.tiles li:not(:hover, :focus-within) .right { opacity: 0; }
.tiles .picked .left { color: white; background: var(--primary-600); border-color: white; }
.tiles .picked { outline: 3px solid var(--primary-500); outline-offset: -1px; }
.tiles :is(.look, .corner):focus-visible { outline: 3px solid var(--primary-500); outline-offset: -3px; }
#found-and-details { align-items: flex-start; }
#details { position: sticky; top: 8px; flex: 1 1 0; max-height: calc(100dvh - 16px); overflow-y: auto; gap: 10px; padding: 12px;
  border: 1px solid var(--border-color-primary); border-radius: 12px; background: var(--background-fill-primary); }
#close-details { align-self: flex-end; }
#preview { border-width: 0 !important; }
#preview img { max-height: 320px; object-fit: contain; }
#facts h4 { margin: 0 0 4px; font-weight: 600; overflow-wrap: anywhere; }
#facts table { width: 100%; border-collapse: collapse; font-size: .85rem; }
#facts :is(table, tr, th, td) { border: none !important; background: none !important; }
#facts :is(th, td) { padding: 2px 8px 2px 0; text-align: left; vertical-align: top; font-weight: 400; overflow-wrap: anywhere; }
#facts th { white-space: nowrap; opacity: .7; }
#facts summary, .failures summary { cursor: pointer; font-size: .85rem; margin: 4px 0; }
#deeds { gap: 8px; }
#deeds .compact { flex: 1 1 120px !important; }
.failures ul { padding-left: 20px; list-style: disc; font-size: .85rem; }
.failures small { display: block; opacity: .7; overflow-wrap: anywhere; }
.groups { display: grid; gap: 14px; }
.groups, .groups ul { list-style: none !important; padding: 0 !important; margin: 0; }
.groups > li { margin: 0; padding: 8px; border-radius: 10px; border: 2px solid var(--border-color-primary); }
.groups > li.picked { border-color: var(--primary-500); }
.groups button { display: flex; gap: 8px; align-items: center; margin-bottom: 6px; font-weight: 600; font-size: .85rem; cursor: pointer; }
.groups button i { display: grid; place-items: center; width: 20px; height: 20px; border-radius: 50%; color: transparent;
  font-style: normal;  border: 2px solid var(--neutral-400); }
.groups .picked button i { color: white; background: var(--primary-600); border-color: var(--primary-600); }
.groups ul { display: flex; flex-wrap: wrap; gap: 10px; }
.groups ul li { flex: 0 0 128px; width: 128px; margin: 0; font-size: .75rem; }
.groups ul img { width: 128px; height: 100px; object-fit: contain; margin: 0; border-radius: 8px;
  background: var(--background-fill-secondary); }
.groups ul span { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.groups ul small { display: block; font-size: .68rem; white-space: nowrap; opacity: .7; }
.groups .best b { color: var(--primary-600); }
.dark .groups .best b { color: var(--primary-400); }
.statements { display: grid; gap: 10px; list-style: none !important; padding: 0 !important; margin: 8px 0 0; }
.statements li { display: flex; gap: 12px; margin: 0; }
.statements img { flex: 0 0 96px; width: 96px; height: 76px; object-fit: contain; margin: 0; border-radius: 8px;
  background: var(--background-fill-secondary); }
.statements b { font-size: .85rem; overflow-wrap: anywhere; }
.statements small { margin-left: 8px; opacity: .7; }
.statements p { margin: 2px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.together { white-space: pre-wrap; }
.labels table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: .85rem; }
.labels :is(table, tr, th, td) { border: none !important; background: none !important; }
.labels :is(th, td) { padding: 3px 8px 3px 0; text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.labels th { font-weight: 600; }
.labels :is(th, td):nth-child(1) { width: 55%; }
#undo-bar { position: sticky; bottom: 8px; z-index: 20; align-items: center; padding: 8px 12px; border-radius: 10px;
  background: var(--neutral-800); color: white; }
.dark #undo-bar { background: var(--neutral-700); }
#undo-bar #undo-text { flex: 1 1 200px; }
#undo-bar p { margin: 0; color: white; font-size: .9rem; }
@media (max-width: 640px) {
  .tiles { grid-template-columns: repeat(3, 1fr); gap: 5px; }
  .tiles .under { padding: 2px 5px 4px; font-size: .68rem; }
  .tiles .corner { width: 32px; height: 32px; top: 3px; }
  .tiles .left { left: 3px; }
  .tiles .right { display: none; }
  #details { position: fixed; inset: auto 0 0 0; top: auto; z-index: 30; max-height: 86dvh; border-radius: 16px 16px 0 0;
    box-shadow: 0 -8px 40px rgb(0 0 0 / .35); }
  #preview img { max-height: 38dvh; }
}
@media (hover: none) {
  .tiles li:not(:hover, :focus-within) .right { opacity: 1; }
}
"""
