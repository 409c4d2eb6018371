"""The WSGI application that gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
application = get_wsgi_application()
# Every view is imported here rather than in somebody's first request. What is loaded by now stays, and the
# garbage collector is told so: walking it would hold a request for a tenth of a second every so often.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
