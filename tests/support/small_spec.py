"""A small spec of a toy shop, with one of everything that the mock reads; tests change it and load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from viralsync_mock.openapi.spec import Spec, load_spec

TEXT = """
openapi: 3.1.0
info: {title: Toys, version: 2.0.0}
security: [{key: []}]
paths:
  /v1/toys:
    get:
      operationId: listToys
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100, default: 25}}
        - {name: colour, in: query, schema: {$ref: '#/components/schemas/Colour'}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, minLength: 1}, maxItems: 3}}
        - {name: weight, in: query, schema: {type: [number, 'null']}}
        - {name: boxed, in: query, schema: {type: boolean}}
        - {name: X-Trace, in: header, schema: {type: string, maxLength: 5}}
      responses:
        '200':
          description: Toys
          content:
            application/json:
              schema: {type: array, items: {$ref: '#/components/schemas/Toy'}}
    post:
      operationId: makeToy
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Toy'}
      responses:
        '201':
          description: Made
          headers:
            Location: {required: true, schema: {type: string, format: uri-reference}}
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Toy'}
              examples: {first: {$ref: '#/components/examples/train'}}
        '400': {$ref: '#/components/responses/Refused'}
  /v1/toys/best:
    get:
      operationId: bestToy
      security: []
      responses:
        '200':
          description: A toy
          content: {application/json: {schema: {$ref: '#/components/schemas/Toy'}}}
  /v1/toys/{toyId}:
    parameters:
      - {$ref: '#/components/parameters/ToyId'}
    get:
      operationId: getToy
      responses:
        '200':
          description: A toy
          content: {application/json: {schema: {$ref: '#/components/schemas/Toy'}}}
    delete:
      operationId: breakToy
      responses:
        '204': {description: Gone}
  /v1/toys/{toyId}/watch:
    parameters:
      - {$ref: '#/components/parameters/ToyId'}
    get:
      operationId: watchToy
      responses:
        '200':
          description: Events
          content:
            text/event-stream:
              schema:
                type: object
                required: [data]
                properties:
                  data:
                    type: string
                    contentMediaType: application/json
                    contentSchema: {$ref: '#/components/schemas/Toy'}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: x-api-key, x-key-pattern: '^toy_[a-z]{4}$'}
  parameters:
    ToyId: {name: toyId, in: path, required: true, schema: {type: string, minLength: 2}}
  examples:
    train: {value: {name: train, parts: [{id: wheel}]}}
  responses:
    Refused:
      description: No
      content:
        application/json:
          schema: {type: object, required: [error], properties: {error: {type: string}}}
  schemas:
    Colour: {type: string, enum: [red, green, blue]}
    Speed: {type: string, enum: [slow, quick], x-workers: {slow: 1, quick: 4}}
    Toy:
      type: object
      required: [name, parts]
      properties:
        name: {type: string, minLength: 1}
        colour: {anyOf: [{$ref: '#/components/schemas/Colour'}, {type: 'null'}]}
        speed: {$ref: '#/components/schemas/Speed'}
        price: {type: number, exclusiveMinimum: 0}
        madeAt: {type: string, format: date-time}
        notes: {type: object}
        twin: {$ref: '#/components/schemas/Toy'}
        parts: {type: array, minItems: 1, x-unique-by: id, items: {$ref: '#/components/schemas/Part'}}
    Part:
      type: object
      required: [id]
      properties:
        id: {type: string}
        size: {type: integer}
x-error-catalogue:
  VALIDATION_ERROR: {status: 400, text: 'Not valid: {violations}', when: always}
  BROKEN: {status: 500, text: 'It broke.'}
x-job-error-catalogue:
  STUCK: {text: 'It is stuck'}
x-plans:
  big:
    usdPerMonth: 29
    renderMinutesPerMonth: 200
    renderMinutesPerDay: null
    longestMovieSeconds: 600
    largestFrame: {width: 1920, height: 1080}
    jobsAtOnce: null
    rest: true
x-rate-limit: {requests: 120, windowSeconds: 60}
x-body-limit: {bytes: 1048576}
"""


def small() -> dict[str, Any]:
    """Return the document anew, to be changed."""
    document: dict[str, Any] = yaml.safe_load(TEXT)
    return document


def put(document: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Set what stands at a place written with `>` between the keys, and return the document."""
    *path, last = place.split(">")
    part: Any = document
    for key in path:
        part = part[int(key)] if isinstance(part, list) else part[key]
    part[last] = value
    return document


def written(document: dict[str, Any], folder: Path) -> Path:
    """Write the document to a file; JSON is YAML."""
    path = folder / "spec.yaml"
    path.write_text(json.dumps(document))
    return path


def loaded(document: dict[str, Any], folder: Path) -> Spec:
    """Return the document as a spec."""
    return load_spec(written(document, folder))
