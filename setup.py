# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ament_python package: `colcon build` on a ROS 2 machine, `pip install -e .` anywhere."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = 'uav_prune_perception'
SHARE = f'share/{PACKAGE}'

# The onboard half needs only these; a drone takes them from apt (package.xml) or from pip.
ONBOARD = ['numpy', 'opencv-python-headless', 'jsonschema>=3.2', 'onnxruntime', 'PyYAML']
# The workstation half.
OFFLINE = [
    'torch>=2.6', 'onnx', 'onnxscript', 'safetensors', 'pydantic>=2', 'matplotlib', 'rich',
    'pillow', 'psutil', 'scikit-learn', 'rosbags', 'shtab', 'faster-coco-eval',
]
# Real ROS 2 from PyPI wheels, for machines without a ROS 2 installation (x86-64).
ROS = ['ros-rclpy[fastrtps]>=9', 'ros-sensor-msgs', 'ros-diagnostic-msgs', 'ros-std-srvs']
TEST = ['pytest', 'pytest-timeout', 'hypothesis']
# Curves of long runs, beside the metrics.csv that is always written.
TENSORBOARD = ['tensorboard']
LINT = ['ruff', 'mypy', 'import-linter', 'types-PyYAML', 'types-jsonschema']

setup(
    name=PACKAGE,
    version='0.1.0',
    description='Prunes a CNN into a ladder of engines, and flies the ladder.',
    license='Apache-2.0',
    maintainer='uav_prune_perception contributors',
    maintainer_email='maintainers@uav-prune-perception.invalid',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        PACKAGE: [
            'py.typed', '*/*.json', '*/*.html', '*/*.css', '*/*.xml',
            'replay/vision_msgs/msg/*.msg',
        ]
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (SHARE, ['package.xml']),
        (f'{SHARE}/hook', glob('resource/hook/*')),  # of colcon.pkg: uav-prune on the PATH
        (f'{SHARE}/launch', glob('launch/*.launch.py')),
        (f'{SHARE}/config', glob('config/*.*')),
        (f'{SHARE}/config/recipes', glob('config/recipes/*.yaml')),
    ],
    zip_safe=False,
    python_requires='>=3.10',
    install_requires=['setuptools', *ONBOARD],
    extras_require={
        'offline': OFFLINE,
        'ros': ROS,
        'tensorboard': TENSORBOARD,
        'test': TEST,
        'dev': [*OFFLINE, *TEST, *LINT],
    },
    entry_points={
        'console_scripts': [
            'uav-prune = uav_prune_perception.cli.main:console',
            'perception_node = uav_prune_perception.ros.start:main',
        ],
    },
)
