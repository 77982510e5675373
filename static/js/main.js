// Everything that a page does. Each module looks for its own elements and leaves the rest alone.
import "./copy.js";
import "./dialog.js";
import "./filters.js";
import "./forms.js";
import "./keys.js";
import "./live.js";
import "./logs.js";
import "./matrix.js";
import "./notices.js";
import "./palette.js";
import "./proof.js";
import "./security_keys.js";
import "./sparklines.js";
import "./times.js";
