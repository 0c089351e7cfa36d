"""The study of Cvrcek et al. (2024): its models trained, compared, and reported."""
