"""The local page: a front end in the browser for what the command line does.

Nothing is restored here. A photo is read by `images`, its options by the commands' own click
parameters, it is restored and written by `folder`, and tried by `preview`; this package shows that,
and keeps strangers out.
"""
