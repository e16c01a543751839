"""The parts of the model. They know tensors only: no configuration, no RecBole, no data set.

Axis letters: ``B`` sequences, ``L`` steps of history, ``T`` tokens (the steps of all sequences, packed without
padding), ``D`` width, ``N`` items, ``K`` candidates, ``H`` heads, ``M`` queries (tokens whose next item is asked for).
"""
