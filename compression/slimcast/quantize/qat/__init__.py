"""Quantization-aware training: a network learns in front of the roundings that its int8 graph will make.

Jacob et al., CVPR 2018, arXiv:1712.05877; Krishnamoorthi 2018, arXiv:1806.08342; Nagel et al. 2021,
arXiv:2106.08295. Import its modules where they are used: torchao takes seconds to load.
"""
