# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fake ``/sys`` and ``/proc`` of the boards that fly, with the traps that each has."""

from __future__ import annotations

from pathlib import Path


def put(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{content}\n')
    return root


def hwmon_rails(device: str, rails: list[tuple[str, int, int]], hwmon: int) -> dict[str, object]:
    """INA3221 by hwmon: label, mV, mA per channel, and the shunt sum that is no rail."""
    base = f'sys/bus/i2c/drivers/ina3221/{device}/hwmon/hwmon{hwmon}'
    files: dict[str, object] = {
        f'{base}/name': 'ina3221',
        f'{base}/in7_label': 'sum of shunt voltages', f'{base}/in7_input': 99999,
        f'{base}/in4_input': 1234, f'{base}/curr4_input': 77777,
    }
    for channel, (label, millivolts, milliamperes) in enumerate(rails, start=1):
        files[f'{base}/in{channel}_label'] = label
        files[f'{base}/in{channel}_input'] = millivolts
        files[f'{base}/curr{channel}_input'] = milliamperes
    return files


def iio_rails(device: str, rails: list[tuple[str, int]]) -> dict[str, object]:
    """INA3221 by iio (JetPack 4): label and mW per channel."""
    base = f'sys/bus/i2c/drivers/ina3221x/{device}/iio:device0'
    files: dict[str, object] = {}
    for channel, (label, milliwatts) in enumerate(rails):
        files[f'{base}/rail_name_{channel}'] = label
        files[f'{base}/in_voltage{channel}_input'] = 5000
        files[f'{base}/in_current{channel}_input'] = milliwatts // 5
        files[f'{base}/in_power{channel}_input'] = milliwatts
    return files


def zones(*readings: tuple[str, object]) -> dict[str, object]:
    files: dict[str, object] = {}
    for number, (name, millidegrees) in enumerate(readings):
        files[f'sys/class/thermal/thermal_zone{number}/type'] = name
        files[f'sys/class/thermal/thermal_zone{number}/temp'] = millidegrees
    return files


def trip(zone: int, number: int, kind: str, millidegrees: int) -> dict[str, object]:
    base = f'sys/class/thermal/thermal_zone{zone}/trip_point_{number}'
    return {f'{base}_type': kind, f'{base}_temp': millidegrees}


def model(name: str) -> dict[str, object]:
    return {'proc/device-tree/model': name + '\0'}


def nano(root: Path) -> Path:
    return put(root, {
        **model('NVIDIA Jetson Nano Developer Kit'),
        **iio_rails('6-0040', [('POM_5V_IN', 4200), ('POM_5V_GPU', 900), ('POM_5V_CPU', 1500)]),
        **zones(('AO-therm', 45000), ('CPU-therm', 41500), ('GPU-therm', 40000),
                ('PMIC-Die', 100000)),
        'sys/devices/gpu.0/load': 123,
    })


def tx2(root: Path) -> Path:
    return put(root, {
        **model('NVIDIA Jetson TX2'),
        **iio_rails('0-0040', [('VDD_SYS_GPU', 300), ('VDD_SYS_SOC', 650), ('VDD_4V0_WIFI', 20)]),
        **iio_rails('0-0041', [('VDD_IN', 3640), ('VDD_SYS_CPU', 695), ('VDD_SYS_DDR', 881)]),
        **iio_rails('0-0042', [('VDD_MUX', 5100), ('VDD_5V0_IO_SYS', 2000),
                               ('VDD_3V3_SYS', 900)]),
        **zones(('BCPU-therm', 35000), ('GPU-therm', 41000), ('PMIC-Die', 100000),
                ('Tboard_tegra', 29000)),
    })


def xavier_nx(root: Path) -> Path:
    rails = [('VDD_IN', 5000, 1100), ('VDD_CPU_GPU_CV', 5000, 300), ('VDD_SOC', 5000, 200)]
    return put(root, {
        **model('NVIDIA Jetson Xavier NX Developer Kit'), **hwmon_rails('7-0040', rails, 3),
        'sys/devices/17000000.gv11b/load': 500,
    })


def agx_xavier(root: Path) -> Path:
    return put(root, {
        **model('Jetson-AGX'),
        **hwmon_rails('1-0040', [('GPU', 19000, 100), ('CPU', 19000, 50), ('SOC', 19000, 60)], 3),
        **hwmon_rails('1-0041', [('CV', 19000, 10), ('VDDRQ', 19000, 20), ('SYS5V', 19000, 80)],
                      4),
    })


def orin_nano(root: Path) -> Path:
    rails = [('VDD_IN', 4960, 1200), ('VDD_CPU_GPU_CV', 4960, 400), ('VDD_SOC', 4960, 250)]
    return put(root, {
        **model('NVIDIA Jetson Orin Nano Developer Kit'),
        **hwmon_rails('1-0040', rails, 1),
        **zones(('cpu-thermal', 49000), ('gpu-thermal', 47500), ('cv0-thermal', -256000),
                ('tj-thermal', 50250)),
        **trip(0, 0, 'passive', 99000), **trip(0, 1, 'critical', 104500),
        **trip(3, 0, 'active', 51000), **trip(3, 1, 'passive', 95000),
        'sys/class/hwmon/hwmon2/oc1_event_cnt': 0, 'sys/class/hwmon/hwmon2/oc3_event_cnt': 4,
        'sys/devices/platform/bus@0/17000000.gpu/load': 870,
        'sys/class/devfreq/17000000.gpu/cur_freq': 624750000,
        'sys/class/devfreq/17000000.gpu/min_freq': 306000000,
        'sys/class/devfreq/17000000.gpu/max_freq': 1020000000,
        'sys/class/devfreq/17000000.gpu/governor': 'nvhost_podgov',
        'etc/nv_tegra_release': '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic',
        'var/lib/nvpmodel/status': 'pmode:0001',
        'etc/nvpmodel.conf': '< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >',
    })


def agx_orin(root: Path) -> Path:
    return put(root, {
        **model('NVIDIA Jetson AGX Orin Developer Kit'),
        **hwmon_rails('1-0040', [('VDD_GPU_SOC', 20000, 200), ('VDD_CPU_CV', 20000, 100),
                                 ('VIN_SYS_5V0', 5000, 800)], 1),
        **hwmon_rails('1-0041', [('NC', 0, 0), ('VDDQ_VDD2_1V8AO', 5000, 300), ('NC', 0, 0)], 2),
    })


def agx_thor(root: Path) -> Path:
    return put(root, {
        **model('NVIDIA Jetson AGX Thor Developer Kit'),
        'sys/class/hwmon/hwmon0/name': 'ucsi_source_psy_USBC000:001',
        'sys/class/hwmon/hwmon0/in0_input': 20000, 'sys/class/hwmon/hwmon0/curr1_input': 7000,
        'sys/class/hwmon/hwmon0/power1_input': 140000000,
        'sys/class/hwmon/hwmon5/name': 'ina238',
        'sys/class/hwmon/hwmon5/in1_input': 19800, 'sys/class/hwmon/hwmon5/curr1_input': 1970,
        'sys/class/hwmon/hwmon5/power1_input': 39000000,
        'sys/class/hwmon/hwmon6/oc1_event_cnt': 1,
    })


def raspberry_pi_5(root: Path) -> Path:
    return put(root, {
        **model('Raspberry Pi 5 Model B Rev 1.0'), **zones(('cpu-thermal', 61000)),
    })


def raspberry_pi_4(root: Path) -> Path:
    return put(root, {
        **model('Raspberry Pi 4 Model B Rev 1.4'), **zones(('cpu-thermal', 55000)),
        'sys/devices/platform/soc/soc:firmware/get_throttled': '50005',
    })


def x86(root: Path) -> Path:
    base = 'sys/class/powercap'
    return put(root, {
        'sys/class/dmi/id/product_name': 'NUC11TNKi5',
        f'{base}/intel-rapl:0/name': 'package-0',
        f'{base}/intel-rapl:0/energy_uj': 262_000_000_000,
        f'{base}/intel-rapl:0/max_energy_range_uj': 262_143_328_850,
        f'{base}/intel-rapl:0:0/name': 'core', f'{base}/intel-rapl:0:0/energy_uj': 5,
        f'{base}/intel-rapl:1/name': 'psys', f'{base}/intel-rapl:1/energy_uj': 7,
        'proc/stat': 'cpu  100 0 100 800 0 0 0 0 0 0',
        **zones(('x86_pkg_temp', 44000), ('acpitz', 27800)),
    })
