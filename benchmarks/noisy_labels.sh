#!/usr/bin/env bash
# What the settings against noisy labels and for rare emotions are worth on FER2013, by fercli's own commands, on a CPU:
#
#   bash benchmarks/noisy_labels.sh fer2013.csv WORK [PART…]      # parts: pack seeds noise; default: all
#
# Everything is written into WORK; a call that was interrupted goes on where it stopped. The test split is never read.
# fer2013.csv may also be a folder that `fer import` reads. In the environment: OPTIONS for each training (to try the
# script: OPTIONS="--reduced --epochs 1"), SEEDS, RATES of label noise, FOLDS.
set -euo pipefail
source=$(realpath "$1") work=$2
shift 2
mkdir -p "$work" && cd "$work"
parts=${*:-pack seeds noise}
read -ra options <<< "${OPTIONS:-}"
seeds=${SEEDS:-0 1 2 3 4} rates=${RATES:-0,0.1,0.2,0.3,0.4} folds=${FOLDS:-5}
settings="plain sam sam2 consistency erasing focal adjusted soft"

of() { # NAME: the options of a setting
  case $1 in
  plain | soft) ;; # soft: the plain recipe on the pack with soft targets
  sam) echo --sam 0.05 ;;
  sam2) echo --sam 0.05 --sam-every 2 ;;
  consistency) echo --attention-consistency 5 --erasing 0.5 ;;
  erasing) echo --erasing 0.5 ;; # what of attention consistency is the erasing alone
  focal) echo --focal 2 ;;
  adjusted) echo --logit-adjustment 1 ;;
  esac
}
train() { # NAME SEED
  local pack=pack own
  [ "$1" = soft ] && pack=pack-soft
  read -ra own <<< "$(of "$1")"
  fer train "$pack" "$1-$2" --model quick --seed "$2" "${own[@]}" "${options[@]}"
}

fer import "$source" fer2013 && fer clean fer2013 cleaned && fer pack cleaned pack
for part in $parts; do
  case $part in
  pack) # soft targets from models of the train images alone
    fer crossvalidate cleaned teachers --model quick --splits train --folds "$folds" "${options[@]}"
    fer pack cleaned pack-soft --soft-targets teachers ;;
  seeds) # each setting with some seeds, on validation, against the plain recipe
    sides=()
    for name in $settings; do
      for seed in $seeds; do
        train "$name" "$seed"
        fer evaluate "$name-$seed" pack "validation-$name-$seed" --split validation
      done
      sides+=("validation-$name-*")
    done
    fer compare "${sides[@]}" --reference --out compare-seeds ;;
  noise) # the curves; the same labels are swapped for all settings
    for name in plain sam consistency focal; do
      read -ra own <<< "$(of "$name")"
      fer crossvalidate cleaned "noise-$name" --model quick --folds "$folds" --noise "$rates" "${own[@]}" "${options[@]}"
    done ;;
  *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
