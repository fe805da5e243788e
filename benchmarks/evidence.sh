#!/usr/bin/env bash
# What training on FER2013 depends on, by fercli's own commands, on a CPU:
#
#   bash benchmarks/evidence.sh fer2013.csv WORK [PART…]      # parts: attention balance seeds search devices; default: all
#
# Everything is written into WORK; a call that was interrupted goes on where it stopped. No part reads the test split but
# `seeds`, which reads it once for each run, at the end.
set -euo pipefail
csv=$(realpath "$1") work=$2
shift 2
mkdir -p "$work" && cd "$work"
parts=${*:-attention balance seeds search devices}

fer import "$csv" fer2013 && fer clean fer2013 cleaned && fer pack cleaned pack

cross() { # NAME OPTIONS…: 5x2 cross-validation of quick
  fer crossvalidate cleaned "cross-$1" --model quick --scheme 5x2 --jobs 2 --threads 1 "${@:2}"
}
for part in $parts; do
  case $part in
  attention) # Dietterich's and Alpaydin's tests: does CBAM help quick?
    cross plain --epochs 12 && cross cbam --epochs 12 --attention cbam
    fer compare cross-plain cross-cbam --out compare-attention ;;
  balance) # does filling up the rare emotions by augmentation help, at as many epochs, and at as many steps?
    cross plain --epochs 12 && cross balanced --epochs 12 --balance level
    fer compare cross-plain cross-balanced --out compare-balance
    cross longer --epochs 21
    fer compare cross-longer cross-balanced --out compare-balance-steps ;;
  seeds) # how far do seeds of one recipe differ?
    for seed in 0 1 2 3 4; do
      fer train pack "quick-$seed" --model quick --seed "$seed"
    done
    for seed in 0 1 2 3 4; do
      fer evaluate "quick-$seed" pack "test-$seed" --tta flip
    done
    fer compare test-0 test-1 test-2 test-3 test-4 --out compare-seeds ;;
  search) # the grid of the ResNet50-CBAM paper's table IV at 5, 10 and 20 epochs, against the recipe at 20
    fer tune pack search --model quick --space resnet50-cbam-paper-short --search grid --trials 60 --jobs 2
    echo 'epochs = [20]' > recipe.toml
    fer tune pack recipe --model quick --space recipe.toml --search grid --prune none ;;
  devices) # two processes, with the cores divided between them, against one
    for devices in 1 2; do
      run=$([ "$devices" = 1 ] && echo quick-0 || echo quick-0-devices)
      fer train pack "$run" --model quick --devices "$devices"
      fer evaluate "$run" pack "validation-devices-$devices" --split validation
    done
    fer compare validation-devices-1 validation-devices-2 --out compare-devices ;;
  *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
