# One image for the web, the workers and the sandbox; docker-compose.yml says which command each runs.
# It holds no secret and no setting of a site: in production it refuses to start until the environment has them.

# `make pin-images` renews the digest behind the tag; see SECURITY.md.
FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS base

FROM base AS build
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# The lock alone first: code changes often, and this layer then stays as it is.
COPY requirements/base.txt requirements/base.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements/base.txt
COPY manage.py ./
COPY offstreet offstreet
COPY passport passport
COPY integrations integrations
COPY locations locations
COPY templates templates
COPY static static
# Collecting static files needs settings, but none that are secret.
RUN ENVIRONMENT=test VAR_DIR=/tmp python manage.py collectstatic --noinput --verbosity 0 \
 && python -m compileall -q offstreet passport integrations locations

FROM base
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin offstreet
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    WEB_BIND=0.0.0.0:8000 \
    WEB_CONCURRENCY=2
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-m", "offstreet.runtime.healthcheck"]
CMD ["gunicorn", "-c", "offstreet/runtime/gunicorn_conf.py"]
