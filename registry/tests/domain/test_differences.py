"""What two versions do not have in common."""

from registry.domain.differences import Difference, dependencies, differing, tensors


def test_only_what_differs_is_named_and_what_one_side_lacks_is_empty():
    found = differing(
        {"depth": 3, "lr": 0.1, "loss": "mse"}, {"depth": 4, "lr": 0.1, "seed": None, "warm": True}
    )
    assert found == [
        Difference("depth", "3", "4"),
        Difference("loss", "mse", ""),
        Difference("warm", "", "true"),
    ]


def test_dependencies_are_compared_package_by_package():
    left = ["NumPy==1.26.0", "scikit_learn==1.5", "-e git+https://example.org/x", "pandas>=2"]
    right = ["numpy==2.0.0", "scikit-learn==1.5", "pandas>=2"]
    assert [(d.name, d.left, d.right) for d in dependencies(left, right)] == [
        ("-e", "-e git+https://example.org/x", ""),
        ("numpy", "NumPy==1.26.0", "numpy==2.0.0"),
        ("scikit-learn", "scikit_learn==1.5", "scikit-learn==1.5"),
    ]


def test_a_tensor_of_another_shape_is_a_difference():
    assert tensors([("input X", "float32 [N, 3]")], [("input X", "float32 [N, 4]")]) == [
        Difference("input X", "float32 [N, 3]", "float32 [N, 4]")
    ]
