"""A page and a JSON API for a model: `fer serve`.

`stage` starts it, `app` is the application, `guard` decides which requests reach it, `engine` recognises faces, `live`
answers the frames of a camera or film, and `page/` holds what the browser loads.
"""
