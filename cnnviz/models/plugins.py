"""`register` where plugins and scripts of earlier versions import it from; `cnnviz.register` is the same."""

from cnnviz.models.catalogue.plugins import register

__all__ = ["register"]
