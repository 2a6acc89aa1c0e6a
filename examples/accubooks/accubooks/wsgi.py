"""What gunicorn serves: `gunicorn --workers 3 accubooks.wsgi:app`."""

from accubooks.app import create_app

app = create_app()
