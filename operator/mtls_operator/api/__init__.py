"""The API of `mtls-operator.io`: types, defaults and the names everything else uses."""
