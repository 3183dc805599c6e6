"""aftersale: stays with each sale until the customer says that it is complete."""

__version__ = "0.1.0"
