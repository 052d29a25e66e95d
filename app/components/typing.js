// Where single keys belong to what has the focus, and where something lies over the page.
const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, " +
  "[contenteditable=true], [role=textbox], [role=spinbutton]"
const MOVED = "[role=radiogroup], [role=tablist], [role=slider], [role=listbox], [role=menu], [role=grid], iframe"
const OVER = "[role=dialog], [role=menu], [role=listbox], dialog"
